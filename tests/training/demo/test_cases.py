"""Each demo of a study template from end to end: made, judged in its form, exported, learned from."""

import csv
import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotate.judgements.models import Judgement
from annotate.prompts.models import Response
from annotate.studies.models import Study
from annotate.studies.templates import BY_KEY
from tests.factories import UserFactory
from training.demo import cases
from training.models import ModelVersion, Run

PROMPTS = 16


@pytest.mark.parametrize("key", cases.CASES)
class TestGrammars:
    def test_prompts_are_different_and_always_the_same(self, key):
        asked = cases.prompts(key, 60)
        assert len({one.text for one in asked}) == 60
        assert cases.prompts(key, 5) == asked[:5]

    def test_answers_are_no_constant(self, key):
        told = {}
        for prompt, answer in cases.documents(key, 400):
            told.setdefault(prompt, set()).add(answer)
        assert len({answer for answers in told.values() for answer in answers}) > 2
        assert cases.documents(key, 20, seed=1) != cases.documents(key, 20, seed=2)

    def test_labels_are_those_of_the_template(self, key):
        labels = [str(label) for label in BY_KEY[key].settings.get("labels", ())]
        if key == "classification":
            assert {answer for _, answer in cases.documents(key, 200)} == set(labels)
        for asked in cases.prompts(key, 20):
            assert bool(asked.reference) == (key in ("translation", "questions", "classification"))
            assert bool(asked.beside) == (key in ("writing", "service"))


def answer(study, texts, prompt, again):
    """What a rater says in the study's form: longer words are better, and the response to a prompt seen first."""
    fields = {"rewrite": texts[0]} if study.ask_rewrite else {}
    if study.labels:
        fields["label"] = study.labels[len(prompt) % 2]
        fields |= {"confidence": "2"} if study.ask_confidence else {}
    if study.method == "compare":
        fields["preference"] = "a2" if _worth(texts[0]) >= _worth(texts[1]) else "b2"
    for criterion in study.criteria.all():
        fields[f"score_0_{criterion.key}"] = criterion.minimum if again else criterion.maximum
    return {name: f"{value:g}" if isinstance(value, float) else value for name, value in fields.items()}


def _worth(text):
    return sum(map(len, text.split())) / len(text.split())


def judge_all(client, study):
    """Through the pages, as a browser without scripts; returns the texts of the pages."""
    page, seen, known = client.get(reverse("rate", args=[study.slug]), follow=True), [], set()
    page = client.post(page.request["PATH_INFO"], {"version": study.instructions_version}, follow=True)
    while page.templates[0].name == "rate/screen.html":
        seen.append(page.content.decode())
        prompt = page.context["prompt"]
        fields = answer(study, [panel.text for panel in page.context["panels"]], prompt, prompt in known)
        known.add(prompt)
        if study.ask_rewrite:
            fields["rewrite"] = f"Better: {fields['rewrite']}"
        page = client.post(page.context["action"], fields, follow=True)
        assert not page.context.get("problems")
    return seen


@pytest.mark.django_db
@pytest.mark.parametrize("key", cases.CASES)
def test_a_demo_is_made_judged_exported_and_learned(key, client, settings, tmp_path):
    settings.MODELS_DIR, settings.RUNS_DIR = tmp_path / "models", tmp_path / "runs"
    rater = UserFactory(username="ada")
    call_command(
        "create_study", "demo", template=key, demo=True, demo_prompts=PROMPTS, demo_steps=8, owner="ada", replication=1
    )
    study = Study.objects.get(slug="demo")
    sampled = Response.objects.filter(prompt__study=study)
    assert set(sampled.values_list("author_model__name", flat=True)) == {f"demo-policy-{key}"}
    assert not set(sampled.values_list("text", flat=True)) & set(BY_KEY[key].responses)

    client.force_login(rater)
    seen = judge_all(client, study)
    asked = study.tasks.filter(replication=1)
    assert len(seen) == asked.count() == Judgement.objects.asked_for().count() > PROMPTS / 2
    looks = {"service": 'class="turn other"', "writing": "<strong>", "questions": "A known good answer"}
    looks |= {"translation": "source-and-target", "classification": "How sure are you?"}
    assert looks[key] in seen[0]

    form = {"compare": "pairs", "score": "scores"}[study.method]
    assert exported(study, form, tmp_path)
    if key == "writing":
        pairs = [row for row in exported(study, "pairs", tmp_path) if row["chosen_author"] == "rewrite"]
        assert len(pairs) == len(seen)
        assert all(pair["chosen"] == f"Better: {pair['rejected']}" for pair in pairs)
    if study.labels:
        labels = exported(study, "labels", tmp_path)
        assert {row["label"] for row in labels} == set(study.labels[:2])
        assert {row["confidence"] for row in labels} == ({"2.0"} if study.ask_confidence else {""})

    call_command("train_preference", study="demo", kind="linear", epochs=2)
    model = ModelVersion.objects.get(kind="preference")
    assert set(model.snapshot.judgement_ids) <= set(Judgement.objects.values_list("pk", flat=True))
    assert json.loads((Path(model.path) / "training.json").read_text())["evaluation"]
    if key == "writing":
        written = Judgement.objects.filter(part="rewrite", task__prompt__split="train")
        assert set(written.values_list("pk", flat=True)) <= set(model.snapshot.judgement_ids)
    quality = client.get(reverse("quality", args=["demo"]))
    assert ("By label" in quality.content.decode()) == bool(study.labels)
    assert ("A second opinion" in quality.content.decode()) == any(p.reference for p in study.prompts.all())


def exported(study, form, folder):
    file = folder / f"{form}.csv"
    call_command("export_preferences", study=study.slug, format=form, output=str(file))
    return list(csv.DictReader(io.StringIO(file.read_text())))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"template": None}, "these have one: writing"),
        ({"template": "summary"}, "the template summary has no demo"),
        ({"template": "questions", "demo_prompts": 0}, "at least one"),
        ({"template": "translation", "demo_prompts": 10_000}, "prompts, not 10000"),
    ],
)
def test_a_demo_that_cannot_be_is_refused_before_anything_is_made(options, words):
    with pytest.raises(CommandError, match=words):
        call_command("create_study", "demo", demo=True, **options)
    assert not Study.objects.exists()
    assert not Run.objects.exists()


@pytest.mark.django_db
def test_flags_change_what_the_template_says():
    call_command("create_study", "plain", template="service", method="rank", instructions="Look.", name="Ours")
    study = Study.objects.get()
    assert (study.name, study.method, study.instructions, study.text_format) == ("Ours", "rank", "Look.", "dialogue")
    call_command("create_study", "empty")
    assert Study.objects.get(slug="empty").method == "compare"
