"""A conversation as imports and demos write it: turns with empty lines between them, each with who speaks."""

import re
from collections.abc import Iterator

# At the start of a line. Chinese writes a full-width colon, and no space behind it.
SPEAKER = re.compile(r"[ \t]*(\w[\w ]{0,29})(?::(?=\s)|：)")


def turns(text: str) -> list[tuple[str, str]]:
    """(speaker, what was said) of each turn; nothing where the text does not begin with one.

    A name counts at the text's start or after an empty line only, so that "Note: ..." within a turn stays in it.
    """
    starts = list(_starts(text))
    if not starts or text[: starts[0].start()].strip():
        return []
    ends = [*(found.start() for found in starts[1:]), len(text)]
    return [(s.group(1), text[s.end() : end].strip()) for s, end in zip(starts, ends, strict=True)]


def _starts(text: str) -> Iterator[re.Match[str]]:
    """The speakers at the first line and at lines after an empty one. Each line is looked at once."""
    position, after_empty = 0, True
    for line in text.split("\n"):
        if after_empty and (found := SPEAKER.match(text, position)):
            yield found
        after_empty = not line.strip()
        position += len(line) + 1
