"""Runs, models and rewards of a study."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from annotate.api.base import ApiView, idempotent
from annotate.api.serializers import paged
from annotate.api.views import ONCE, PAGES, REFUSED
from annotate.models.api import Scope
from annotate.models.studies import Study
from core.errors import PalateError
from training.api import serializers as given
from training.jobs.start_form import STARTED_HERE, form_for, values_of
from training.models import ModelVersion, ResponseReward, Run
from training.registry.model_versions import in_reach
from training.runs import operations


class Runs(ApiView):
    scopes = {"POST": Scope.RUNS}

    @extend_schema(operation_id="runs_list", parameters=PAGES, responses=paged(given.RunSerializer))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(Run.objects.filter(study=self.study(slug)), given.RunSerializer)

    @extend_schema(
        operation_id="runs_start",
        parameters=ONCE,
        request=given.NewRunSerializer,
        responses={201: given.RunSerializer, 422: REFUSED},
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Start a run by the options that its page shows. Like a page, a request names no file of the server."""
        study = self.study(slug)
        asked = given.NewRunSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        kind, options = asked.validated_data["kind"], asked.validated_data.get("options", {})
        if kind not in STARTED_HERE:
            raise PalateError(
                f"kind: {kind} is for commands and uploads only; expected one of {', '.join(STARTED_HERE)}"
            )
        form = form_for(study, kind)
        if unknown := set(options) - set(form.base_fields):
            raise PalateError(
                f"options: unknown option {min(unknown)!r}; expected some of {', '.join(form.base_fields)}"
            )
        # What is not given keeps its default, as an untouched field of the page does.
        filled = form({name: field.initial for name, field in form.base_fields.items()} | options)
        if not filled.is_valid():
            raise ValidationError({"options": filled.errors})
        values = values_of(filled.cleaned_data)
        run = operations.queue_run(kind=kind, study=study, values=values, created_by=request.user)
        return Response(given.RunSerializer(run).data, status=201)


class OneRun(ApiView):
    @extend_schema(operation_id="runs_read", responses=given.RunSerializer)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        return Response(given.RunSerializer(get_object_or_404(Run, study=self.study(slug), pk=pk)).data)


class CancelRun(ApiView):
    scopes = {"POST": Scope.RUNS}

    @extend_schema(operation_id="runs_cancel", request=None, responses=given.RunSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Ask a run to stop: a queued one ends at once, a running one at its next step."""
        run = get_object_or_404(Run, study=self.study(slug), pk=pk)
        operations.cancel_run(run=run, by=request.user)
        run.refresh_from_db()
        return Response(given.RunSerializer(run).data)


class Models(ApiView):
    @extend_schema(operation_id="models_list", parameters=PAGES, responses=paged(given.ModelVersionSerializer))
    def get(self, request: Request, slug: str) -> Response:
        rows = ModelVersion.objects.filter(study=self.study(slug)).select_related("snapshot")
        return self.page(rows, given.ModelVersionSerializer)


class Rewards(ApiView):
    @extend_schema(operation_id="rewards_list", parameters=PAGES, responses=paged(given.RewardSerializer))
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """What a preference model thinks of the study's responses, as far as a run score_responses has asked it."""
        return self.page(_rewards(self.study(slug), pk), given.RewardSerializer)


class Preference(ApiView):
    @extend_schema(operation_id="preference_read", responses={200: given.PreferenceSerializer, 422: REFUSED})
    def get(self, request: Request, slug: str, pk: int, a: int, b: int) -> Response:
        """The calibrated chance that response a is preferred over response b of the same prompt."""
        rewards = _rewards(self.study(slug), pk)
        one, other = (get_object_or_404(rewards, response=response) for response in (a, b))
        if one.response.prompt_id != other.response.prompt_id:
            raise PalateError(f"responses {a} and {b} answer different prompts; only those to one prompt compare")
        answer = given.PreferenceSerializer({"a": one, "b": other, "probability": one.chance_over(other)})
        return Response(answer.data)


def _rewards(study: Study, version: int) -> QuerySet[ResponseReward]:
    """Of the study's own responses, by a model that it can see."""
    model = get_object_or_404(ModelVersion.objects.filter(in_reach(study)), pk=version)
    return model.response_rewards.filter(response__prompt__study=study).select_related("response__prompt")
