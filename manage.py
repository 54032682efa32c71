#!/usr/bin/env python
"""Palate's command line: `.venv/bin/python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palate.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except (DatabaseError, ImproperlyConfigured) as error:
        explanation = explain(error)
        if not explanation or "--traceback" in sys.argv:
            raise
        sys.exit(f"manage.py: {explanation}")


def explain(error: Exception) -> str:
    """Return what is wrong with the installation and what to do, or "" for an error that is not of that kind."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import OperationalError

    first_line = (str(error).splitlines() or [""])[0]
    if isinstance(error, ImproperlyConfigured):
        return str(error)
    # UndefinedTable, UndefinedColumn
    if getattr(error.__cause__, "sqlstate", "") in ("42P01", "42703"):
        return f"the database does not have Palate's tables ({first_line}); run: manage.py migrate"
    # psycopg gives errors of the connection itself no SQLSTATE.
    if isinstance(error, OperationalError) and not getattr(error.__cause__, "sqlstate", None):
        return f"the database cannot be reached ({first_line}); is DATABASE_URL right, and does the server run?"
    return ""


if __name__ == "__main__":
    main()
