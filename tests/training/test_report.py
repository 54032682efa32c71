"""The report on a preference model, from the run that trains it to its pages."""

import json
from pathlib import Path

import pytest
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.prompts import Response
from tests.factories import MembershipFactory, PromptFactory, StudyFactory, TaskFactory
from training.engine.evaluation.counterfactual_texts import kinds
from training.models import ModelVersion, Run
from training.runs.execution import execute_run
from training.runs.operations import create_run
from training.web.model_report import _counterfactuals, _short_names, _sides, sections
from training.web.token_highlights import Explained, explained

pytestmark = pytest.mark.django_db

GOOD, BAD = "We will refund you today <b>.", "That is not our problem."
SPLITS = ["train"] * 16 + ["validation"] * 6 + ["test"] * 6


@pytest.fixture
def manager(settings, tmp_path):
    settings.VAR_DIR = settings.RUNS_DIR = settings.MODELS_DIR = tmp_path
    study = StudyFactory(replication=2, require_reading=False)
    for n, split in enumerate(SPLITS):
        prompt = PromptFactory(study=study, split=split, group=f"g{n // 2}")
        task = TaskFactory(study=study, prompt=prompt)
        for response, text, author in zip(task.responses.order_by("pk"), (GOOD, BAD), ("ann", "bob"), strict=True):
            Response.objects.filter(pk=response.pk).update(text=f"{text} {n}", author_name=author)
    for rater in MembershipFactory.create_batch(2, study=study):
        while lease := lease_next(rater=rater):
            # On the last held-out prompt the raters like what they dislike elsewhere.
            odd = lease.task.prompt.split == "test" and "27" in lease.task.responses.first().text
            liked = [(GOOD[:5] in r.text) != odd for r in Response.objects.filter(pk__in=lease.shown)]
            order = dict(zip(sorted(lease.shown), liked, strict=True))
            submit(assignment=lease, answer=Answer(ranks=[1 if order[pk] else 2 for pk in lease.shown]))
    return MembershipFactory(study=study, role="manager")


def trained(study, **values):
    config = {"kind": "cnn", "num_epochs": 1, "min_steps": 25, "max_length": 32, **values}
    run = execute_run(run=create_run(kind="train_preference", study=study, values=config), reraise=True)
    return ModelVersion.objects.get(run=run)


def test_a_run_reports_on_its_model_and_pages_show_it(client, manager):
    version = trained(manager.study, learning_curve=2, explain=4)
    report = version.report
    assert report == json.loads((Path(version.path) / "report.json").read_text())
    assert "report" not in Run.objects.get().result, "lists of runs need not carry texts"
    assert report["overall"]["pairs"] == 6
    assert report["overall"]["accuracy"]["value"] == version.metrics["evaluation"]["accuracy"] == pytest.approx(5 / 6)
    assert [row["name"] for row in report["baselines"]] == ["model", "linear", "longer", "even", "votes"]
    assert [row["judgements"] for row in report["learning_curve"]] == [16, 32]
    gaps = {(row["a"], row["b"]): row for row in report["counterfactuals"]}
    assert len(gaps) == 12
    assert all(row["gap"]["low"] <= row["gap"]["value"] <= row["gap"]["high"] for row in gaps.values())
    (error,) = report["errors"]
    assert error["preferred"]["text"].startswith(GOOD)
    assert (error["preferred"]["author"], error["other"]["votes"]) == ("ann", 2)
    assert [bool(prompt["error"]) for prompt in report["explained"]] == [True, False, False, False]
    first = report["explained"][0]["responses"][0]
    assert "".join(text for text, _part in first["words"]) == error["preferred"]["text"]

    client.force_login(manager.user)
    page = client.get(reverse("model", args=[manager.study.slug, version.pk])).content.decode()
    assert sections(report)[0].note.startswith("The linear model weighs")
    headings = ("Compared with baselines", "Is it well calibrated?", "Learning curve", "Does it follow length?")
    for heading in (*headings, "Does it favour names"):
        assert heading in page
    assert "6 pairs with a majority and 0 without, of 3 groups" in page
    assert page.count('class="plot"') >= 5
    assert reverse("model-why", args=[manager.study.slug, version.pk]) in page
    why = reverse("model-why", args=[manager.study.slug, version.pk])
    page = client.get(why).content.decode()
    assert "Chance to be preferred over B" in page
    assert "&lt;b&gt;" in page
    assert "<b>." not in page
    assert client.get(why, {"prompt": 4}).status_code == 200
    assert [client.get(why, {"prompt": number}).status_code for number in ("0", "5", "x")] == [404] * 3


def test_a_linear_model_is_not_its_own_baseline_and_needs_no_explanations(client, manager):
    version = trained(manager.study, kind="linear", explain=0)
    assert [row["name"] for row in version.report["baselines"]] == ["model", "longer", "even", "votes"]
    assert (version.report["explained"], version.report["learning_curve"]) == ([], [])
    assert "Learning curve" not in [section.title for section in sections(version.report)]
    assert "linear model" not in sections(version.report)[0].note
    client.force_login(manager.user)
    page = client.get(reverse("model-why", args=[manager.study.slug, version.pk])).content.decode()
    assert ("The most confident errors" in page) == bool(version.report["errors"])


def test_without_judgements_to_test_on_there_is_no_report(client, manager):
    manager.study.prompts.filter(split="test").update(split="train")
    version = trained(manager.study, kind="linear")
    assert version.report == {}
    client.force_login(manager.user)
    page = client.get(reverse("model", args=[manager.study.slug, version.pk])).content.decode()
    assert "Compared with baselines" not in page
    assert (
        "Nothing to explain" in client.get(reverse("model-why", args=[manager.study.slug, version.pk])).content.decode()
    )


def test_gaps_are_told_in_words_and_plotted():
    gap, chance = {"value": -0.9, "low": -1.2, "high": -0.4}, {"value": 0.3, "low": 0.2, "high": 0.4}
    row = {"a": "English", "b": "French", "pairs": 10, "gap": gap, "chance": chance}
    sure, unsure = ({**row, "favoured": favoured, "size": size} for favoured, size in (("French", "large"), ("", "")))
    found = _counterfactuals([sure, unsure])
    assert found.findings == ["English – French: the model favours French; the gap is large."]
    assert [figure.value for figure in found.lines[0].figures] == [-0.9, 0.3]
    assert _counterfactuals([unsure]).findings == ["No gap is surely different from zero."]
    assert _counterfactuals([]).lines == []
    known = {word for kind in kinds() for word in (kind.a, kind.b)}
    assert known == set(_sides()), "every side has words of its own in the reader's language"
    assert {kind.b for kind in kinds()} == set(_short_names())


def test_words_by_how_much_they_moved_the_reward():
    responses = [
        {"reward": 1.0, "words": [["good", 0.8], [" ", 0.0], ["bad", -0.5], [" ", 0.0], ["Good", 0.3]]},
        {"reward": 0.0, "words": [["so", 0.1]]},
    ]
    first, second = explained({"responses": responses}, lambda reward, other: reward - other)
    assert isinstance(first, Explained)
    assert [(word.text, word.sign, word.strength) for word in first.words if word.strength] == [
        ("good", "up", 3),
        ("bad", "down", 2),
        ("Good", "up", 1),
    ]
    assert first.raised == [("good", pytest.approx(1.1))]
    assert first.lowered == [("bad", -0.5)]
    assert (first.chances, second.chances) == ([("B", 1.0)], [("A", -1.0)])
