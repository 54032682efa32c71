#!/usr/bin/env python
"""Palate's command line: `.venv/bin/python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palate.settings")
    from django.core.management import execute_from_command_line
    from django.db import ProgrammingError

    try:
        execute_from_command_line(sys.argv)
    except ProgrammingError as error:
        # UndefinedTable, UndefinedColumn
        if getattr(error.__cause__, "sqlstate", "") not in ("42P01", "42703") or "--traceback" in sys.argv:
            raise
        lacks = str(error).splitlines()[0]
        sys.exit(f"manage.py: the database does not have Palate's tables ({lacks}); run: manage.py migrate")


if __name__ == "__main__":
    main()
