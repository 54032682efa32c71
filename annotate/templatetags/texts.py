"""How prompts, responses and instructions are put on a page."""

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

from annotate.studies.models import Study, TextFormat
from palate.markdown import sanitised

register = template.Library()


@register.filter
def as_text_of(text: str, study: Study) -> SafeString:
    """Hostile text in the study's format: Markdown, sanitised, or as it was written, escaped."""
    return sanitised(text) if study.text_format == TextFormat.MARKDOWN else conditional_escape(text)


@register.filter
def markdown(text: str) -> SafeString:
    return sanitised(text)
