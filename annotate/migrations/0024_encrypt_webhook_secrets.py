"""Encrypt the secrets of webhooks that were stored as plain text."""

from django.db import migrations, models

from annotate.encryption import decrypt, encrypt


def encrypt_secrets(apps, schema_editor):
    for row in apps.get_model("annotate", "Webhook").objects.all().iterator():
        row.secret = encrypt(decrypt(row.secret))
        row.save(update_fields=["secret"])


class Migration(migrations.Migration):
    dependencies = [("annotate", "0023_append_only_log")]
    operations = [
        migrations.AlterField("webhook", "secret", models.CharField(max_length=500)),
        migrations.RunPython(encrypt_secrets, migrations.RunPython.noop),
    ]
