"""What the API takes and gives, as JSON."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from annotate.models.judgements import MAX_SECONDS, Confidence, Judgement
from annotate.models.prompts import Prompt, Response, Split
from annotate.models.studies import MAX_CRITERIA, MAX_LABELS, MAX_SCORE, Criterion, Method, Study
from annotate.models.webhooks import Event, Webhook

MAX_AT_ONCE = 1000


class InputSerializer(serializers.Serializer[Any]):
    """What a request gives. A field that nothing reads is refused by name, as a file's misspelt column is."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := [name for name in data if name not in self.fields]):
            known = ", ".join(self.fields)
            raise serializers.ValidationError({name: [f"Unknown field; expected {known}."] for name in unknown})
        return super().to_internal_value(data)


def paged(serializer: Any) -> Any:
    """One page of a list, as the schema tells of it."""
    link = serializers.URLField(allow_null=True)
    fields = {"next": link, "previous": link, "results": serializer(many=True)}
    return inline_serializer(f"{serializer.__name__.removesuffix('Serializer')}Page", fields)


def _up_to_a_thousand(serializer: Any) -> Any:
    return serializer(many=True, allow_empty=False, max_length=MAX_AT_ONCE)


class CriterionSerializer(serializers.ModelSerializer[Criterion]):
    class Meta:
        model = Criterion
        fields = ["key", "name", "minimum", "maximum", "step", "weight"]


class StudySerializer(serializers.ModelSerializer[Study]):
    criteria = CriterionSerializer(many=True, read_only=True)

    class Meta:
        model = Study
        fields = [
            *("id", "slug", "name", "description", "method", "replication", "instructions", "instructions_version"),
            *("label_question", "labels", "ask_confidence"),
            *("active", "closed_at", "validation_share", "test_share", "criteria", "created_at"),
        ]


class NewCriterionSerializer(InputSerializer):
    key = serializers.SlugField(max_length=50)
    name = serializers.CharField(max_length=100, required=False)
    minimum = serializers.FloatField(required=False, min_value=-MAX_SCORE, max_value=MAX_SCORE)
    maximum = serializers.FloatField(required=False, min_value=-MAX_SCORE, max_value=MAX_SCORE)


class LabelsField(serializers.ListField):
    """What raters choose from for each prompt."""

    child = serializers.CharField(max_length=100)


class NewStudySerializer(InputSerializer):
    slug = serializers.SlugField(max_length=50)
    name = serializers.CharField(max_length=200)
    method = serializers.ChoiceField(choices=Method.choices, default=Method.COMPARE)
    instructions = serializers.CharField(required=False, max_length=100_000)
    replication = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    validation_share = serializers.FloatField(required=False, min_value=0, max_value=1)
    test_share = serializers.FloatField(required=False, min_value=0, max_value=1)
    criteria = NewCriterionSerializer(many=True, required=False, max_length=MAX_CRITERIA)  # type: ignore[call-arg]
    label_question = serializers.CharField(required=False, allow_blank=True, max_length=200)
    labels = LabelsField(required=False, max_length=MAX_LABELS)
    ask_confidence = serializers.BooleanField(required=False)


class ChangedStudySerializer(InputSerializer):
    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(required=False, allow_blank=True, max_length=100_000)
    instructions = serializers.CharField(required=False, allow_blank=True, max_length=100_000)
    replication = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    active = serializers.BooleanField(required=False)
    label_question = serializers.CharField(required=False, allow_blank=True, max_length=200)
    labels = LabelsField(required=False, max_length=MAX_LABELS)
    ask_confidence = serializers.BooleanField(required=False)


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    prompt_id = serializers.CharField(source="external_id")
    messages = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField()),
        allow_null=True,
        help_text="Of a conversation: role and content of each message.",
    )

    class Meta:
        model = Prompt
        fields = ["id", "prompt_id", "text", "messages", "group", "split", "reference", "context", "audience"]


class NewPromptSerializer(InputSerializer):
    prompt = serializers.CharField(trim_whitespace=False, max_length=1_000_000)
    prompt_id = serializers.CharField(required=False, max_length=200)
    group = serializers.CharField(required=False, max_length=200)
    split = serializers.ChoiceField(required=False, choices=Split.choices)
    reference = serializers.CharField(required=False, trim_whitespace=False, max_length=1_000_000)
    context = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields off the class
        required=False, trim_whitespace=False, max_length=1_000_000
    )


class NewPromptsSerializer(InputSerializer):
    prompts = _up_to_a_thousand(NewPromptSerializer)


class ResponseSerializer(serializers.ModelSerializer[Response]):
    response_id = serializers.CharField(source="external_id")
    prompt_id = serializers.CharField(source="prompt.external_id")
    author = serializers.CharField()

    class Meta:
        model = Response
        fields = ["id", "response_id", "prompt_id", "text", "author", "decoding"]


class NewResponseSerializer(NewPromptSerializer):
    response = serializers.CharField(trim_whitespace=False, allow_blank=True, max_length=1_000_000)
    response_id = serializers.CharField(required=False, max_length=200)
    author = serializers.CharField(required=False, max_length=200)


class NewResponsesSerializer(InputSerializer):
    responses = _up_to_a_thousand(NewResponseSerializer)
    make_tasks = serializers.BooleanField(default=True)


class AddedSerializer(serializers.Serializer[Any]):
    """What was new, and what was there already."""

    prompts = serializers.IntegerField()
    prompts_already_there = serializers.IntegerField()
    responses = serializers.IntegerField()
    responses_already_there = serializers.IntegerField()
    judgements = serializers.IntegerField()
    judgements_already_there = serializers.IntegerField()
    raters = serializers.IntegerField()
    tasks = serializers.IntegerField()
    repeats = serializers.IntegerField(help_text="Of the judgements, those that repeat one of the same rater.")
    duplicate_judgements = serializers.IntegerField(help_text="Sent more than once in this request.")
    other_split = serializers.IntegerField(help_text="Entries with another split than their prompt has already.")


class JudgementSerializer(serializers.ModelSerializer[Judgement]):
    prompt_id = serializers.CharField(source="task.prompt.external_id")
    rater = serializers.CharField(source="rater.pseudonym")
    rater_kind = serializers.CharField(source="rater.kind")
    shown = serializers.SerializerMethodField(help_text="Ids of the responses in the order shown.")
    scores = serializers.JSONField()

    class Meta:
        model = Judgement
        fields = [
            *("id", "prompt_id", "task", "rater", "rater_kind", "part", "shown", "ranks", "scores", "strength"),
            *(
                "unacceptable",
                "label",
                "confidence",
                "comment",
                "seconds",
                "instructions_version",
                "live",
                "supersedes",
                "made_at",
            ),
        ]

    def get_shown(self, judgement: Judgement) -> list[str]:
        names = {response.pk: response.external_id for response in judgement.task.responses.all()}
        return [names[pk] for pk in judgement.shown]


class NewJudgementSerializer(InputSerializer):
    """A judgement that was made elsewhere on responses that the study has."""

    judgement_id = serializers.CharField(max_length=200, help_text="Its id there: sent again, it adds nothing.")
    prompt_id = serializers.CharField(max_length=200)
    shown = serializers.ListField(child=serializers.CharField(max_length=200), min_length=1, max_length=100)
    ranks = serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=100), required=False)
    scores = serializers.DictField(
        child=serializers.ListField(child=serializers.FloatField(), max_length=100), required=False
    )
    rater = serializers.CharField(max_length=200)
    label = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields off the class
        required=False, allow_blank=True, max_length=100, help_text="Of the study's labels, the prompt's."
    )
    confidence = serializers.ChoiceField(
        choices=Confidence.choices, required=False, allow_null=True, help_text="Of the label: 1 a guess, 3 sure."
    )
    comment = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    seconds = serializers.FloatField(required=False, min_value=0, max_value=MAX_SECONDS)
    at = serializers.DateTimeField(required=False)


class NewJudgementsSerializer(InputSerializer):
    judgements = _up_to_a_thousand(NewJudgementSerializer)


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    events = serializers.ListField(child=serializers.ChoiceField(choices=Event.choices), allow_empty=False)

    class Meta:
        model = Webhook
        fields = ["id", "url", "events", "created_at"]
        read_only_fields = ["id", "created_at"]


class MadeWebhookSerializer(WebhookSerializer):
    """The secret is told this once."""

    secret = serializers.CharField(source="signing_key", read_only=True)

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]
        read_only_fields = [*WebhookSerializer.Meta.read_only_fields, "secret"]
