"""A study's preference model is distilled, by the command and by the page."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotate.models.studies import Study
from tests.factories import MembershipFactory
from training.models import ModelVersion, Run
from training.web.model_report import sections

pytestmark = pytest.mark.django_db


@pytest.fixture
def teacher(study):
    call_command("train_preference", study=study, kind="cnn", num_epochs=1, min_steps=25, max_length=32, explain=0)
    return ModelVersion.objects.latest("pk")


def test_the_student_stands_beside_its_teacher_in_result_card_and_page(study, teacher, tmp_path, client):
    corpus = tmp_path / "more.txt"
    corpus.write_text("We will send you a new one.\n\nThat is not our problem.\n\nAsk somebody else.")
    call_command("distil_preference", study=study, teacher=teacher.name, corpus=str(corpus), explain=2, name="small")
    version = ModelVersion.objects.latest("pk")
    assert (version.name, version.parent) == ("small", teacher)
    run = Run.objects.latest("pk")
    context = run.result["teacher"]
    train, tested = (Study.objects.get().prompts.filter(split=split).count() for split in ("train", "test"))
    # Of the three new texts the one that also answers a prompt of the test split is left out.
    assert run.result["train_texts"] == 2 * train + 2
    assert (context["pairs"], context["responses"]) == (tested, 2 * tested)
    assert context["model"]["accuracy"]["value"] == context["reference"]["accuracy"]["value"] == 1
    assert context["pearson"]["value"] > 0.99
    assert context["speed"]["ratio"] > 0
    assert version.report["teacher"] == context == json.loads(json.dumps(version.metrics["teacher"]))
    # What was trained from the votes themselves is the student's baseline, although it is linear, too.
    assert [row["name"] for row in version.report["baselines"]][:2] == ["model", "linear"]
    assert f"teacher: `{teacher.name}`" in version.card
    assert "times as fast as its teacher" in version.card

    client.force_login(MembershipFactory(study=Study.objects.get(), role="manager").user)
    page = client.get(reverse("model", args=[study, version.pk])).content.decode()
    assert "Compared with its teacher" in page
    assert "Compared with its teacher" not in [section.title for section in sections(teacher.report)]


def test_a_page_starts_it_and_knows_no_files(study, teacher, client, sent):
    client.force_login(MembershipFactory(study=Study.objects.get(), role="manager").user)
    address = reverse("run-start", args=[study, "distil_preference"])
    assert 'name="corpus"' not in client.get(address).content.decode()
    client.post(address, {"teacher": str(teacher.pk), "kind": "cnn"})
    assert Run.objects.latest("pk").config["kind"] == "cnn"


def test_bad_input_names_the_flag(study, teacher):
    for options, message in (
        ({"teacher": "./nowhere"}, "--teacher ./nowhere"),
        ({"corpus": "missing.txt"}, "--corpus missing.txt: no such file"),
        ({"kind": "encoder"}, "--kind must be one of linear, cnn, rnn"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("distil_preference", study=study, **{"teacher": teacher.path} | options)
    Study.objects.get().prompts.filter(split="validation").update(split="train")
    with pytest.raises(CommandError, match="no judgements in its validation split"):
        call_command("distil_preference", study=study, teacher=teacher.path)
