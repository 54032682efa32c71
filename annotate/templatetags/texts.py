"""How prompts, responses and instructions are put on a page."""

from django import template
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from annotate.models.studies import Study, TextFormat
from annotate.turns import turns
from core.markdown import sanitised

register = template.Library()


@register.filter
def as_text_of(text: str, study: Study) -> SafeString:
    """Hostile text in the study's format: Markdown, sanitised; turns of a talk; or as it was written, escaped."""
    if not text.strip():
        return format_html('<i class="muted">{}</i>', _("(empty response)"))
    if study.text_format == TextFormat.MARKDOWN:
        return sanitised(text)
    if study.text_format == TextFormat.DIALOGUE and (parts := turns(text)):
        return _conversation(parts)
    return conditional_escape(text)


def _conversation(parts: list[tuple[str, str]]) -> SafeString:
    """Whoever speaks first is on one side, everybody else on the other."""
    rows = (("" if name == parts[0][0] else " other", name, text) for name, text in parts)
    turn = '<div class="turn{}"><b>{}</b>{}</div>'
    return format_html('<div class="turns">{}</div>', format_html_join("", turn, rows))


@register.filter
def or_empty(text: str) -> str:
    """The text of a response, or words that say that there is none."""
    return text if text.strip() else _("(empty response)")


@register.filter
def shorten(text: object, length: int) -> str:
    """The first characters of a text, at most `length`, the last of them an ellipsis where the text goes on.

    Django's truncatechars takes the square of the whole text's length where marks pile up.
    """
    text = str(text)
    return text if len(text) <= length else text[: length - 1] + "…"


@register.filter
def markdown(text: str) -> SafeString:
    return sanitised(text)
