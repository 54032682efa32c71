"""Each demo of a study template from end to end: made, judged in its form, exported, learned from."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import translation

from annotate.models.judgements import Judgement
from annotate.models.prompts import Response
from annotate.models.studies import Study
from annotate.studies.templates import BY_KEY
from annotate.turns import turns
from core.errors import PalateError
from tests.annotate.studies.test_views import filled_in
from tests.factories import TaskFactory, UserFactory
from training.demo import cases
from training.management import demo_studies as studies
from training.management.demo_studies import run_job
from training.models import ModelVersion, Run
from training.runs.execution import execute_run

PROMPTS = 16


@pytest.mark.parametrize("key", cases.GRAMMARS)
class TestGrammars:
    def test_prompts_are_different_and_always_the_same(self, key):
        asked = cases.prompts(key, 60)
        assert len({one.text for one in asked}) == 60
        assert cases.prompts(key, 5) == asked[:5]

    def test_answers_are_no_constant(self, key):
        result = {}
        for prompt, answer in cases.documents(key, 400):
            result.setdefault(prompt, set()).add(answer)
        assert len({answer for answers in result.values() for answer in answers}) > 2
        assert cases.documents(key, 20, seed=1) != cases.documents(key, 20, seed=2)

    def test_labels_are_those_of_the_template(self, key):
        template = key.removesuffix("-zh")
        with translation.override("zh-hans" if key.endswith("-zh") else "en"):
            labels = [str(label) for label in BY_KEY[template].settings.get("labels", ())]
        if template == "classification":
            assert {answer for _, answer in cases.documents(key, 200)} == set(labels)
        for asked in cases.prompts(key, 20):
            assert bool(asked.reference) == (template in ("translation", "questions", "classification"))
            assert bool(asked.context) == (template in ("writing", "service"))


@pytest.mark.slow
def test_a_study_in_chinese_has_its_demo_in_chinese(client, settings, tmp_path, db):
    settings.MODELS_DIR, settings.RUNS_DIR = tmp_path / "models", tmp_path / "runs"
    options = {"demo": True, "demo_language": "zh", "demo_prompts": 6, "demo_max_steps": 4}
    call_command("create_study", "kefu", template="service", **options, owner=UserFactory(username="ada").username)
    study = Study.objects.get()
    assert "规定" in study.instructions
    assert all(turns(prompt.text)[0][0] == "客户" for prompt in study.prompts.all())
    assert set(Response.objects.values_list("author_model__name", flat=True)) == {"demo-policy-service-zh"}
    # A page in Chinese asks for the same; where there is no such grammar the English one is used.
    assert cases.grammar("service", "zh") == "service-zh"
    assert cases.grammar("service", "en") == "service"


def test_a_chinese_terminal_gets_its_demo_in_chinese(settings, tmp_path, monkeypatch, db):
    settings.MODELS_DIR, settings.RUNS_DIR = tmp_path / "models", tmp_path / "runs"
    # The demo takes the model that is there.
    call_command(
        "create_study", "kefu", template="service", demo=True, demo_language="zh", demo_prompts=6, demo_max_steps=4
    )
    monkeypatch.setattr(studies, "CHINESE", {"demo-service-zh": "service"})
    for name, value in {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "zh_CN.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    call_command("demo")
    call_command("demo")  # what is there stays
    study = Study.objects.exclude(slug="kefu").get()
    assert study.name == "客户服务（演示）"
    assert "规定" in study.instructions
    assert all(turns(prompt.text)[0][0] == "客户" for prompt in study.prompts.all())
    assert study.tasks.exists()
    assert set(study.memberships.values_list("user__username", flat=True)) == {"manager", "rater", "rater2"}
    assert study.runs.count() == 1


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


# What each demo's screen shows of its template, and what the quality page says of labels and references.
MARKS = {
    "en": {"questions": "A known good answer", "classification": "How sure are you?"},
    "zh": {"questions": "一个已知的好答案", "classification": "你有多大把握？"},
}
SAYS = {"en": ("By label", "A second opinion"), "zh": ("按标签", "第二意见")}


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("language", cases.LANGUAGES)
@pytest.mark.parametrize("key", cases.CASES)
def test_a_demo_is_made_judged_exported_and_learned(key, language, client, settings, tmp_path):
    settings.MODELS_DIR, settings.RUNS_DIR = tmp_path / "models", tmp_path / "runs"
    rater = UserFactory(username="ada", is_superuser=True)
    call_command(
        "create_study", "demo", template=key, demo=True, demo_language=language, demo_prompts=PROMPTS, demo_max_steps=8,
        owner="ada", replication=1,
    )  # fmt: skip
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "zh-hans" if language == "zh" else "en"
    study = Study.objects.get(slug="demo")
    sampled = Response.objects.filter(prompt__study=study)
    policy = {f"demo-policy-{cases.grammar(key, language)}"}
    assert set(sampled.values_list("author_model__name", flat=True)) == policy
    # A label of one word may be drawn by chance.
    canned = {text for text in BY_KEY[key].responses if " " in text}
    assert not set(sampled.values_list("text", flat=True)) & canned

    client.force_login(rater)
    seen = judge_all(client, study)
    asked = study.tasks.filter(replication=1)
    assert len(seen) == asked.count() == Judgement.objects.asked_for().count() > PROMPTS / 2
    marks = {"service": 'class="turn other"', "writing": "<strong>", "translation": "source-and-target"}
    marks |= MARKS[language]
    assert marks[key] in seen[0]
    if language == "zh" and key != "translation":  # whose sources are English
        assert english(seen[0]) == []

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

    call_command("train_preference", study="demo", kind="linear", num_epochs=2)
    model = ModelVersion.objects.get(kind="preference")
    assert set(model.snapshot.judgement_ids) <= set(Judgement.objects.values_list("pk", flat=True))
    assert json.loads((Path(model.path) / "training.json").read_text())["evaluation"]
    if key == "writing":
        written = Judgement.objects.filter(part="rewrite", task__prompt__split="train")
        assert set(written.values_list("pk", flat=True)) <= set(model.snapshot.judgement_ids)
    quality = client.get(reverse("quality", args=["demo"]))
    by_label, second_opinion = SAYS[language]
    assert (by_label in quality.content.decode()) == bool(study.labels)
    assert (second_opinion in quality.content.decode()) == any(p.reference for p in study.prompts.all())


def english(page):
    """What stands on a page in English, three words or more of it."""
    result = re.sub(r"<(script|style|head).*?</\1>|<[^>]*>", "\n", page, flags=re.DOTALL)
    return re.findall(r"[A-Za-z]+(?: [A-Za-z]+){2,}", result)


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
        ({"template": "questions", "demo_prompts": 0}, "--demo-prompts must be at least 1"),
        ({"template": "translation", "demo_prompts": 10_000}, "prompts, not 10000"),
    ],
)
def test_a_demo_that_cannot_be_is_refused_before_anything_is_made(options, words):
    with pytest.raises(CommandError, match=words):
        call_command("create_study", "demo", demo=True, **options)
    assert not Study.objects.exists()
    assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_press_on_a_page_makes_a_study_and_the_run_that_fills_it(client, settings, tmp_path, sent):
    settings.MODELS_DIR, settings.RUNS_DIR = tmp_path / "models", tmp_path / "runs"
    client.force_login(UserFactory(username="ada", is_superuser=True))
    page = client.get(reverse("study-create")).content.decode()
    for key in BY_KEY:
        assert (reverse("study-create-demo", args=[key]) in page) == (key in cases.CASES)
    for slug in ("classification-demo", "classification-demo-2"):
        answer = client.post(reverse("study-create-demo", args=["classification"]))
        run = Run.objects.latest("pk")
        assert answer.url == reverse("run", args=[run.pk])
        assert (run.study.slug, run.kind, sent()[-1]) == (slug, "make_demo", run.pk)
        assert run.study.memberships.get().user.username == "ada"
        Run.objects.filter(pk=run.pk).update(config={"template": "classification", "prompts": 12, "max_steps": 4})
        run.refresh_from_db()
        execute_run(run=run, reraise=True)
        assert (run.state, run.percent, run.result["prompts"]) == ("done", 100, 12)
        assert run.study.tasks.exists()
    # The second one found the model of the first, which all studies share.
    assert [version.study for version in ModelVersion.objects.filter(name="demo-policy-classification")] == [None]
    TaskFactory(study=run.study)
    with pytest.raises(PalateError, match="prompts of its own"):
        run_job("make_demo", run.study, {"template": "classification"})
    assert client.post(reverse("study-create-demo", args=["dialogue"])).status_code == 404
    assert client.post(reverse("study-create-demo", args=["nothing"])).status_code == 404


@pytest.mark.django_db
def test_the_form_of_a_template_makes_its_demo_too(client, sent, django_capture_on_commit_callbacks):
    client.force_login(UserFactory(is_superuser=True))
    address = reverse("study-create") + "?template=translation"
    data = filled_in_form(client.get(address))
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(address, {**data, "slug": "ours", "name": "Ours", "demo": "1"})
    run = Run.objects.get(study__slug="ours")
    assert (answer.url, sent()) == (reverse("run", args=[run.pk]), [run.pk])
    assert (run.study.name, run.config) == ("Ours", {"template": "translation", "language": "en"})
    # A template without a demo has no such button; asked for one all the same, nothing is made.
    address = reverse("study-create") + "?template=dialogue"
    page = client.get(address)
    assert 'name="demo"' not in page.content.decode()
    answer = client.post(address, {**filled_in_form(page), "demo": "1"})
    assert "Only these templates have a demo" in answer.content.decode()
    assert not Study.objects.filter(slug="dialogue").exists()


def filled_in_form(page):
    form = page.context["form"]
    return filled_in([form.study, form.criteria.management_form, *form.criteria])


@pytest.mark.django_db
def test_flags_change_what_the_template_says():
    call_command("create_study", "plain", template="service", method="rank", instructions="Look.", name="Ours")
    study = Study.objects.get()
    assert (study.name, study.method, study.instructions, study.text_format) == ("Ours", "rank", "Look.", "dialogue")
    call_command("create_study", "empty")
    assert Study.objects.get(slug="empty").method == "compare"
