"""The message queue of the default broker: PGMQ's own SQL, installed beside the tables (no extension needed)."""

from django.db import migrations
from pgmq import get_embedded_install_sql
