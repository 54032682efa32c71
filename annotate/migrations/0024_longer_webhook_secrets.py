"""Room for secrets of webhooks that are encrypted. Those of before are encrypted by apply_retention, once no process of the
version before reads them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotate", "0023_append_only_log")]
    operations = [migrations.AlterField("webhook", "secret", models.CharField(max_length=500))]
