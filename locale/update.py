"""Collect the messages of the pages into locale/*/LC_MESSAGES/django.po, and compile them. Needs GNU gettext.

    .venv/bin/python locale/update.py

Write the translations that are missing into the .po files and run it again.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palate.settings")
    os.chdir(ROOT)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("makemessages", all=True, ignore_patterns=[".venv", "var", "tests", "bench"], no_obsolete=True)
    call_command("compilemessages", ignore_patterns=[".venv", "var"])


if __name__ == "__main__":
    main()
