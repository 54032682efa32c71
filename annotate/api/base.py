"""What all API views share: errors, pages by cursor, idempotency keys."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.db import IntegrityError, transaction
from django.shortcuts import get_object_or_404
from rest_framework import exceptions, status
from rest_framework.authentication import SessionAuthentication
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from annotate.api.access import HasScope, TokenAuthentication
from annotate.models.api import IdempotencyKey, Scope
from annotate.models.studies import Study
from core.errors import LimitReached, PalateError

UNIQUE_VIOLATION = "23505"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


class Pages(CursorPagination):
    """?cursor=… as the answer before gave it; ?page_size=… up to 1,000."""

    ordering = "id"
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000

    def decode_cursor(self, request: Request) -> Any:
        """The place that a cursor tells of; 404 for one that was made up."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not str(cursor.position).isdecimal():
            raise exceptions.NotFound(self.invalid_cursor_message)
        return cursor


class ApiView(APIView):
    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [HasScope]
    scopes: Mapping[str, str] = {"POST": Scope.WRITE, "PATCH": Scope.WRITE, "DELETE": Scope.WRITE}

    def study(self, slug: str) -> Study:
        """The study; 404 unless the user may see it, or change it when the request does."""
        safe = self.request.method in ("GET", "HEAD", "OPTIONS")
        studies = Study.objects.readable_by(self.request.user) if safe else Study.objects.managed_by(self.request.user)
        return get_object_or_404(studies, slug=slug)

    def page(self, rows: Any, serializer: Any) -> Response:
        """One page of the rows, by primary key."""
        pages = Pages()
        return pages.get_paginated_response(serializer(pages.paginate_queryset(rows, self.request), many=True).data)


def error_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """A PalateError becomes 422 with its words, a limit that is reached 429, a unique value that another request took
    meanwhile 409; the rest as in Django REST framework."""
    if isinstance(error, LimitReached):
        error = exceptions.Throttled(error.seconds, str(error))
    if isinstance(error, PalateError):
        return Response({"detail": str(error)}, status=status.HTTP_422_UNPROCESSABLE_ENTITY)
    if isinstance(error, IntegrityError) and getattr(error.__cause__, "sqlstate", "") == UNIQUE_VIOLATION:
        detail = "Another request stored the same at the same time. Nothing was changed; send yours again."
        return Response({"detail": detail}, status=status.HTTP_409_CONFLICT)
    return exception_handler(error, dict(context))


def idempotent(method: Callable[..., Response]) -> Callable[..., Response]:
    """With a header Idempotency-Key, the same request is carried out once and answered the same again.

    The key is stored in one transaction with what the request does; a second request at the same time waits for it.
    """

    @wraps(method)
    def once(self: ApiView, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        with transaction.atomic():
            if not key:
                return method(self, request, *args, **kwargs)
            if len(key) > 100 or not key.isprintable():
                raise exceptions.ValidationError({"Idempotency-Key": "At most 100 printable characters."})
            asked = json.dumps([request.method, request.path, request.data], sort_keys=True)
            digest = hashlib.sha256(asked.encode()).hexdigest()
            mine = {"user_id": int(request.user.pk or 0), "key": key}
            row, new = IdempotencyKey.objects.get_or_create(**mine, defaults={"digest": digest})
            if row.digest != digest:
                raise PalateError("Idempotency-Key: was used for another request")
            if not new:
                return Response(row.body, status=row.status, headers={"Idempotent-Replayed": "true"})
            answer = method(self, request, *args, **kwargs)
            row.status, row.body = answer.status_code, json.loads(json.dumps(answer.data, default=str))
            row.save(update_fields=["status", "body"])
            return answer

    return once
