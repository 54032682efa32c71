"""What a manager may open. Whatever belongs to a study that the user does not manage does not exist."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from annotate.studies.models import Study


def managed_study(request: HttpRequest, slug: str) -> Study:
    """The study with this short name if the user owns or manages it; otherwise 404."""
    return get_object_or_404(Study.objects.managed_by(request.user), slug=slug)
