"""Studies and what is in them."""

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from annotate.api import serializers as given
from annotate.api import uploads
from annotate.api.base import ApiView, idempotent
from annotate.audit.operations import record, recorded
from annotate.exchange.exporters.export_form import FILE_TYPE_CHOICES, FORMAT_CHOICES, ExportForm
from annotate.exchange.exporters.export_response import streamed
from annotate.exchange.files.tables import FILE_TYPES
from annotate.members.queries import may_make_studies
from annotate.models.api import Scope
from annotate.models.audit import Action
from annotate.models.judgements import Judgement
from annotate.models.prompts import Prompt, Split
from annotate.models.prompts import Response as Completion
from annotate.models.studies import Study
from annotate.studies import operations
from core.attachments import CONTENT_TYPES

PAGES = [
    OpenApiParameter("cursor", str, description="From `next` or `previous` of the answer before."),
    OpenApiParameter("page_size", int, description="1 to 1,000; default 100."),
]
ONCE = [
    OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Sent again, nothing is done twice.")
]
SPLIT = OpenApiParameter("split", str, enum=Split.values, description="Only prompts of this split.")
REFUSED = OpenApiResponse(OpenApiTypes.OBJECT, description="`detail` says what is wrong and what would be right.")


def _split(request: Request) -> dict[str, str]:
    """The one filter that lists take; no other field of the tables can be asked about."""
    split = request.query_params.get("split", "")
    return {"split": split} if split in Split.values else {}


class Studies(ApiView):
    @extend_schema(operation_id="studies_list", parameters=PAGES, responses=given.paged(given.StudySerializer))
    def get(self, request: Request) -> Response:
        """The studies that you own, manage or audit."""
        rows = Study.objects.readable_by(request.user).prefetch_related("criteria")
        return self.page(rows, given.StudySerializer)

    @extend_schema(
        operation_id="studies_create",
        parameters=ONCE,
        request=given.NewStudySerializer,
        responses={201: given.StudySerializer, 422: REFUSED},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Make a study; you own it. For whoever owns or manages a study already, and for superusers."""
        if not may_make_studies(request.user):
            raise PermissionDenied("Your account may not make studies.")
        asked = given.NewStudySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        study = operations.create_study(owner=request.user, **asked.validated_data)
        record(study=study, user=request.user, action=Action.ADDED, subject="study")
        return Response(given.StudySerializer(study).data, status=201)


class OneStudy(ApiView):
    @extend_schema(operation_id="studies_read", responses=given.StudySerializer)
    def get(self, request: Request, slug: str) -> Response:
        return Response(given.StudySerializer(self.study(slug)).data)

    @extend_schema(
        operation_id="studies_change",
        request=given.ChangedStudySerializer,
        responses={200: given.StudySerializer, 422: REFUSED},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change some settings; the rest stays."""
        study = self.study(slug)
        asked = given.ChangedStudySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        with recorded(
            study=study,
            user=request.user,
            action=Action.CHANGED,
            subject="settings",
            fields=sorted(asked.validated_data),
        ):
            operations.change_study(study=study, **asked.validated_data)
        return Response(given.StudySerializer(self.study(slug)).data)


class Prompts(ApiView):
    @extend_schema(
        operation_id="prompts_list", parameters=[SPLIT, *PAGES], responses=given.paged(given.PromptSerializer)
    )
    def get(self, request: Request, slug: str) -> Response:
        return self.page(Prompt.objects.filter(study=self.study(slug), **_split(request)), given.PromptSerializer)

    @extend_schema(
        operation_id="prompts_add",
        parameters=ONCE,
        request=given.NewPromptsSerializer,
        responses={200: given.AddedSerializer, 422: REFUSED},
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Add up to 1,000 prompts. All or nothing; those that are there already are counted."""
        study, entries = self.study(slug), _entries(given.NewPromptsSerializer, request)
        added = uploads.add_prompts(study=study, entries=entries["prompts"])
        record(study=study, user=request.user, action=Action.IMPORTED, subject="prompts", **added)
        return Response(added)


class Responses(ApiView):
    @extend_schema(
        operation_id="responses_list", parameters=[SPLIT, *PAGES], responses=given.paged(given.ResponseSerializer)
    )
    def get(self, request: Request, slug: str) -> Response:
        split = {f"prompt__{name}": value for name, value in _split(request).items()}
        rows = Completion.objects.filter(prompt__study=self.study(slug), **split)
        return self.page(rows.select_related("prompt", "author_model"), given.ResponseSerializer)

    @extend_schema(
        operation_id="responses_add",
        parameters=ONCE,
        request=given.NewResponsesSerializer,
        responses={200: given.AddedSerializer, 422: REFUSED},
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Add up to 1,000 responses with their prompts, and make tasks of them by the study's method."""
        study, entries = self.study(slug), _entries(given.NewResponsesSerializer, request)
        added = uploads.add_responses(study=study, entries=entries["responses"], make_tasks=entries["make_tasks"])
        record(study=study, user=request.user, action=Action.IMPORTED, subject="responses", **added)
        return Response(added)


class Judgements(ApiView):
    scopes = {"GET": Scope.EXPORT, "POST": Scope.WRITE}

    @extend_schema(
        operation_id="judgements_list", parameters=[SPLIT, *PAGES], responses=given.paged(given.JudgementSerializer)
    )
    def get(self, request: Request, slug: str) -> Response:
        """All judgements, superseded ones included, raters by pseudonym."""
        study = self.study(slug)
        if "cursor" not in request.query_params:
            record(study=study, user=request.user, action=Action.EXPORTED, subject="judgements by the API")
        split = {f"task__prompt__{name}": value for name, value in _split(request).items()}
        rows = Judgement.objects.of_study(study).filter(**split)
        rows = rows.select_related("task__prompt", "rater").prefetch_related("task__responses")
        return self.page(rows, given.JudgementSerializer)

    @extend_schema(
        operation_id="judgements_add",
        parameters=ONCE,
        request=given.NewJudgementsSerializer,
        responses={200: given.AddedSerializer, 422: REFUSED},
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Add up to 1,000 judgements that were made elsewhere. Their raters are marked as imported."""
        study, entries = self.study(slug), _entries(given.NewJudgementsSerializer, request)
        added = uploads.add_judgements(study=study, entries=entries["judgements"])
        record(study=study, user=request.user, action=Action.IMPORTED, subject="judgements", **added)
        return Response(added)


def _entries(serializer: Any, request: Request) -> dict[str, Any]:
    asked = serializer(data=request.data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


class FileNegotiation(DefaultContentNegotiation):
    """The address says what the file holds, whatever the header Accept asks for; errors are JSON."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


class Export(ApiView):
    content_negotiation_class = FileNegotiation
    scopes = {"GET": Scope.EXPORT}

    @extend_schema(
        operation_id="export",
        parameters=[
            OpenApiParameter("form", str, OpenApiParameter.PATH, enum=[name for name, _ in FORMAT_CHOICES]),
            OpenApiParameter("file_type", str, OpenApiParameter.PATH, enum=[name for name, _ in FILE_TYPE_CHOICES]),
            SPLIT,
            OpenApiParameter("ties", str, enum=["drop", "keep"]),
            OpenApiParameter("unacceptable", str, enum=["drop", "keep"]),
            OpenApiParameter("raters", str, enum=["all", "people"]),
            OpenApiParameter("min_agreement", float),
            OpenApiParameter("min_raters", int),
            OpenApiParameter("texts", str, enum=["plain", "conversational"]),
            OpenApiParameter("prompt", str, enum=["explicit", "implicit"]),
        ],
        responses={
            **{(200, CONTENT_TYPES[kind].split(";")[0]): OpenApiTypes.BINARY for kind in (*FILE_TYPES, "zip")},
            400: REFUSED,
            422: REFUSED,
        },
    )
    def get(self, request: Request, slug: str, form: str, file_type: str) -> HttpResponseBase:
        """The same files as from the page, streamed. docs/reference/file-formats.md lists their columns."""
        study = self.study(slug)
        asked = ExportForm({**request.query_params.dict(), "format": form, "file_type": file_type})
        if not asked.is_valid():
            return Response(asked.errors, status=400)
        return streamed(study, asked, request.user)
