"""The operators' site at /admin/: superusers look at accounts, studies, runs and tokens. For everybody else it is not
there."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _


class OperatorsSite(AdminSite):
    site_title = site_header = "Palate"
    index_title = _("Operators")

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        protected = super().admin_view(view, cacheable)

        def hidden(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not self.has_permission(request):
                raise Http404
            return protected(request, *args, **kwargs)

        return hidden

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Sign-in has one door, with its counters and its second step; this site opens no other."""
        raise Http404
