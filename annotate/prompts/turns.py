"""A conversation as imports and demos write it: turns with empty lines between them, each with who speaks."""

import re

# Chinese writes a full-width colon, and no space behind it.
SPEAKER = re.compile(r"(?:\A|\n\s*\n)[ \t]*(\w[\w ]{0,29})(?::(?=\s)|：)")


def turns(text: str) -> list[tuple[str, str]]:
    """(speaker, what was said) of each turn; nothing where the text does not begin with one.

    A name counts at the text's start or after an empty line only, so that "Note: ..." within a turn stays in it.
    """
    starts = list(SPEAKER.finditer(text))
    if not starts or text[: starts[0].start()].strip():
        return []
    ends = [*(found.start() for found in starts[1:]), len(text)]
    return [(s.group(1), text[s.end() : end].strip()) for s, end in zip(starts, ends, strict=True)]
