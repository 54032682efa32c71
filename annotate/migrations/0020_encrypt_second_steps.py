"""Encrypt the secrets of second steps that were stored as plain text."""

from django.db import migrations

from annotate.sign_in.encryption import encrypted


def encrypt(apps, schema_editor):
    rows = apps.get_model("mfa", "Authenticator").objects.all()
    for row in rows.iterator():
        row.data = encrypted(row.data)
        row.save(update_fields=["data"])


class Migration(migrations.Migration):
    dependencies = [
        ("annotate", "0019_accounts_made_for_a_study"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]
    operations = [migrations.RunPython(encrypt, migrations.RunPython.noop)]
