"""What the terminal says of its reader."""

import os


def language() -> str:
    """zh-hans where the terminal's language is Chinese, else en."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh-hans" if next(filter(None, named), "").startswith("zh") else "en"
