"""Runs, models and rewards as JSON."""

from typing import Any

from rest_framework import serializers

from annotate.api.serializers import InputSerializer
from training.models import ModelVersion, ResponseReward, Run, RunKind


class RunSerializer(serializers.ModelSerializer[Run]):
    class Meta:
        model = Run
        fields = [
            *("id", "kind", "state", "config", "result", "error", "step", "total_steps", "attempts"),
            *("created_at", "started_at", "ended_at"),
        ]


class NewRunSerializer(InputSerializer):
    kind = serializers.ChoiceField(choices=RunKind.choices)
    options = serializers.DictField(required=False)


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    snapshot_sha256 = serializers.CharField(source="snapshot.sha256", default=None)

    class Meta:
        model = ModelVersion
        fields = ["id", "kind", "name", "parent", "reward", "snapshot_sha256", "run", "metrics", "card", "created_at"]


class RewardSerializer(serializers.ModelSerializer[ResponseReward]):
    response_id = serializers.CharField(source="response.external_id")
    prompt_id = serializers.CharField(source="response.prompt.external_id")
    quality = serializers.FloatField(help_text="Calibrated chance to be preferred over the average response.")

    class Meta:
        model = ResponseReward
        fields = ["response", "response_id", "prompt_id", "reward", "spread", "quality"]


class PreferenceSerializer(serializers.Serializer[Any]):
    a = RewardSerializer()
    b = RewardSerializer()
    probability = serializers.FloatField(
        help_text="Calibrated chance that a rater prefers a over b, a tie counting half."
    )
