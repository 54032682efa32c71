"""Simulated raters who go by a preference model."""

import pytest
from django.core.management import CommandError, call_command

from annotate.models.judgements import Judgement
from annotate.models.prompts import Response
from tests.factories import StudyFactory, TaskFactory
from tests.training.engine.conftest import BAD, GOOD

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_taste_of_a_preference_model(study, tmp_path):
    taste = str(tmp_path / "taste")
    call_command("train_preference", study=study, kind="linear", output=taste, explain=0)
    asked = StudyFactory(slug="asked", replication=1)
    for task in TaskFactory.create_batch(12, study=asked):
        for response, text in zip(task.responses.order_by("id"), (BAD, GOOD), strict=True):
            response.text = text
            response.save()
    call_command("simulate_raters", study="asked", judgements=12, taste=taste)
    made = Judgement.objects.of_study(asked)
    assert made.count() == 12
    assert set(made.values_list("rater__kind", flat=True)) == {"simulated"}
    good = set(Response.objects.filter(prompt__study=asked, text=GOOD).values_list("pk", flat=True))
    won = [dict(zip(one.ranks, one.shown, strict=True))[1] in good for one in made]
    assert sum(won) >= 10


def test_a_taste_that_is_no_preference_model_is_refused(study, tmp_path):
    asked = TaskFactory(study=StudyFactory(slug="asked"))
    with pytest.raises(CommandError, match=r"^--taste "):
        call_command("simulate_raters", study="asked", judgements=1, taste=str(tmp_path))
    assert not Judgement.objects.filter(task=asked).exists()
