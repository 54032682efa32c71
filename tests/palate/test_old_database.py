"""A database from before the migrations began anew is refused in one line, before anything is changed."""

import pytest
from django.db import connection

from core.errors import PalateError
from palate.old_database import check_release

pytestmark = pytest.mark.django_db


def test_this_versions_database_is_taken():
    check_release()


def test_an_older_one_is_refused():
    with connection.cursor() as cursor:
        values = "('annotate', '0003_judgement_rules', now())"
        cursor.execute(f"INSERT INTO django_migrations (app, name, applied) VALUES {values}")  # noqa: S608  # a constant
    with pytest.raises(PalateError, match="from before the first release"):
        check_release()
