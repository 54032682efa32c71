"""Collect what pages say into locale/*/LC_MESSAGES/django.po, and compile it. Needs GNU gettext.

    .venv/bin/python locale/update.py

Write the translations that are missing into the .po files and run it again.
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
HEAD = '''"""What pages say of jobs and their options, marked for translation. Written by locale/update.py."""

from django.utils.translation import gettext_noop

WORDS = frozenset(
    [
'''


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palate.settings")
    os.chdir(ROOT)
    import django

    django.setup()
    from django.core.management import call_command

    from training.jobs.registry import words

    lines = "".join(f"        gettext_noop({json.dumps(word, ensure_ascii=False)}),\n" for word in sorted(words()))
    (ROOT / "training/jobs/words.py").write_text(f"{HEAD}{lines}    ]\n)\n", encoding="utf-8")
    call_command("makemessages", all=True, ignore_patterns=[".venv", "var", "tests", "bench"], no_obsolete=True)
    call_command("compilemessages", ignore_patterns=[".venv", "var"])


if __name__ == "__main__":
    main()
