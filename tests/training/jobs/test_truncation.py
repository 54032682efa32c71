"""Texts that are too long for a model are counted where people read it: in the log, the result and the card."""

import re

import pytest
from django.core.management import call_command

from annotate.models.prompts import Response
from annotate.models.studies import Study
from tests.factories import PromptFactory
from tests.training.engine.conftest import policy_folder  # noqa: F401  (a fixture of these tests, too)
from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db


def test_prompts_that_responses_are_generated_for(study, policy_folder):  # noqa: F811
    lamps = Study.objects.get(slug=study)
    PromptFactory(study=lamps, text="My lamp is broken. " * 200)
    written = set(Response.objects.values_list("pk", flat=True))
    options = {"study": study, "model": str(policy_folder), "num_generations": 3, "max_completion_length": 8}
    call_command("generate_responses", **options, temperature=0)
    run = Run.objects.latest("pk")
    assert run.result["truncated"] == 1
    assert "truncated 1 of 31 prompts to 120 tokens" in run.log_tail
    # Temperature 0 is greedy: all three are one text.
    assert Response.objects.exclude(pk__in=written).count() <= 31


def test_judged_responses_that_a_policy_is_tuned_on(study, policy_folder, tmp_path):  # noqa: F811
    options = {
        "algorithm": "dpo",
        "max_steps": 1,
        "best_of": 1,
        "max_length": 24,
        "max_completion_length": 4,
        "temperature": 0,
    }
    call_command("rl_finetune", study=study, policy=str(policy_folder), output=str(tmp_path / "tuned"), **options)
    run = Run.objects.latest("pk")
    card = ModelVersion.objects.get(run=run).card
    (line,) = re.findall(r"truncated \d+ of \d+ examples to 24 tokens", run.log_tail)
    assert f"- {line}\n" in card
