"""Render untrusted Markdown safely, in time that grows linearly with the text."""

import re
import secrets
from collections.abc import Iterator
from urllib.parse import quote

import nh3
import structlog
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

log = structlog.get_logger("core.markdown")

# Longer texts are shown as written: 50,000 characters of the slowest Markdown take about a second.
MAX_MARKDOWN = 50_000
# Raw HTML is not passed through, images are not loaded: a picture's address could tell who reads.
_parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
_TAGS = nh3.ALLOWED_TAGS - {"img"}
# Where a formula may begin; one between single dollars, which stays within a line, is matched whole.
_FORMULA = re.compile(r"\$\$|\\\[|\\\(|\$(?!\s)[^$\n]+(?<!\s)\$(?!\d)")
_CLOSING = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}
# Characters of the private use area enclose the number of a formula while the rest is parsed.
_OPEN, _CLOSE = "\ue000", "\ue001"
# Texts that could not be rendered, by hash: each is logged once.
_failed: set[int] = set()
_MAX_FAILED = 1000


def sanitised(text: str) -> SafeString:
    """The HTML of a Markdown text: no raw HTML, images, handlers or script addresses; formulas stay as written.

    A text that is too long or cannot be rendered is shown as written.
    """
    if len(text) > MAX_MARKDOWN:
        return _plain(text)
    try:
        return _rendered(text)
    except Exception:
        if len(_failed) < _MAX_FAILED and hash(text) not in _failed:
            _failed.add(hash(text))
            log.exception("markdown_not_rendered", characters=len(text))
        return _plain(text)


def _plain(text: str) -> SafeString:
    return format_html('<div class="text">{}</div>', text)


def _rendered(text: str) -> SafeString:
    # A text may hold the private characters, written out or as entities; it cannot know this word between them.
    word = secrets.token_hex(3)
    formulas: list[str] = []
    pieces, position = [], 0
    for start, end in _formulas(text):
        pieces += [text[position:start], f"{_OPEN}{word}{len(formulas)}{_CLOSE}"]
        formulas.append(text[start:end])
        position = end
    html = nh3.clean(_parser.render("".join([*pieces, text[position:]])), tags=_TAGS)
    html = re.sub(f"{_OPEN}{word}(\\d+){_CLOSE}", lambda found: escape(formulas[int(found[1])]), html)
    # Addresses of links are percent-encoded.
    within = f"{quote(_OPEN)}{word}(\\d+){quote(_CLOSE)}"
    return mark_safe(re.sub(within, lambda found: escape(quote(formulas[int(found[1])], safe="$&=")), html))


def _formulas(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each formula: $…$ within a line, $$…$$, \\[…\\] and \\(…\\) over lines."""
    closings = dict.fromkeys(_CLOSING, 0)  # where the next closing mark stands that was looked for; -1: none
    position = 0
    while found := _FORMULA.search(text, position):
        opening, start, end = found[0], found.start(), found.end()
        if opening in _CLOSING:
            end = _closing(text, opening, end + 1, closings)
        if end > 0:
            yield start, end
        position = end if end > 0 else start + 1


def _closing(text: str, opening: str, start: int, closings: dict[str, int]) -> int:
    """Where the first closing mark from `start` on ends, 0 without one. No part of the text is searched twice."""
    if 0 <= closings[opening] < start:
        closings[opening] = text.find(_CLOSING[opening], start)
    return closings[opening] + 2 if closings[opening] >= start else 0
