"""Webhooks of a study."""

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotate.api import serializers as given
from annotate.api.base import ApiView
from annotate.api.views import PAGES, REFUSED
from annotate.audit.operations import recorded
from annotate.models.audit import Action
from annotate.webhooks.operations import add_webhook


class Webhooks(ApiView):
    @extend_schema(operation_id="webhooks_list", parameters=PAGES, responses=given.paged(given.WebhookSerializer))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(self.study(slug).webhooks.all(), given.WebhookSerializer)

    @extend_schema(
        operation_id="webhooks_add",
        request=given.WebhookSerializer,
        responses={201: given.MadeWebhookSerializer, 422: REFUSED},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Tell an address of events. The answer holds the secret of its signatures, this once."""
        study = self.study(slug)
        asked = given.WebhookSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        with recorded(study=study, user=request.user, action=Action.ADDED, subject="webhook") as details:
            hook = add_webhook(study=study, **asked.validated_data)
            details |= {"webhook": hook.pk, "url": hook.url}
        return Response(given.MadeWebhookSerializer(hook).data, status=201)


class OneWebhook(ApiView):
    @extend_schema(operation_id="webhooks_remove", responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        hook = get_object_or_404(self.study(slug).webhooks.select_related("study"), pk=pk)
        with recorded(
            study=hook.study, user=request.user, action=Action.REMOVED, subject="webhook", webhook=pk, url=hook.url
        ):
            hook.delete()
        return Response(status=204)
