"""Who may use the API: bearers of tokens, within their scopes."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from annotate.api.tokens import token_of
from annotate.models.api import ApiToken, Scope
from annotate.models.sign_in import CounterKind
from annotate.sign_in.counters import MustWait, count, network_key
from annotate.sign_in.second_step import REFUSED, must_set_up


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer palate_…`"""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        token = token_of(parts[1].decode("ascii", "replace")) if len(parts) == 2 else None
        if token is None:
            self.count_failure(request)
            raise exceptions.AuthenticationFailed("This token is not known, or it has expired.")
        if must_set_up(token.user):
            raise exceptions.PermissionDenied(REFUSED)
        return token.user, token

    def count_failure(self, request: Request) -> None:
        """Let unknown tokens of one network wait. A token that holds is always taken: nobody can guess it."""
        try:
            count([network_key(request, CounterKind.API)])
        except MustWait as error:
            raise exceptions.Throttled(error.seconds) from None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class HasScope(BasePermission):
    """A token needs the scope that the view names for the method. Somebody signed in by the browser has all."""

    message = "The token lacks the scope for this."

    def has_permission(self, request: Request, view: Any) -> bool:
        if not (request.user and request.user.is_authenticated):
            return False
        token = request.auth
        method = request.method if request.method not in ("HEAD", "OPTIONS") else "GET"
        return not isinstance(token, ApiToken) or view.scopes.get(method, Scope.READ) in token.scopes
