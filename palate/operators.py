"""The operators' site at /admin/: superusers look at accounts, studies, runs and tokens. For everybody else it is not
there."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from core.read_only_admin import ReadOnlyAdmin


class OperatorsSite(AdminSite):
    site_title = site_header = "Palate"
    index_title = _("Operators")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take read-only pages alone: those that other apps bring change accounts past the log, and show secrets."""
        if admin_class is not None and issubclass(admin_class, ReadOnlyAdmin):
            super().register(model_or_iterable, admin_class, **options)

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

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return redirect("account_change_password")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return redirect("account_logout")
