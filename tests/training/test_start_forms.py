"""The forms that start runs and take files: what they offer, queue and refuse."""

import re

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from tests.factories import MembershipFactory
from training.models import ModelKind, ModelVersion, Run, RunState

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return MembershipFactory(role="manager")


class TestStart:
    @pytest.mark.parametrize(
        ("kind", "needed", "language", "words"),
        [
            ("rl_finetune", {"policy"}, "en", "must be filled in"),
            ("rl_finetune", {"policy"}, "zh-hans", "必须填写"),
            ("simulate_raters", {"judgements"}, "en", "must be filled in"),
            ("next_tasks", {"by"}, "en", "must be filled in"),
            ("pretrain", set(), "en", None),
        ],
    )
    def test_what_must_be_filled_in_is_marked_and_the_mark_explained_once(
        self, kind, needed, language, words, client, manager
    ):
        ModelVersion.objects.create(study=manager.study, kind=ModelKind.POLICY, name="base", path="/models/base")
        client.force_login(manager.user)
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
        page = client.get(reverse("run-start", args=[manager.study.slug, kind])).content.decode()
        held = re.findall(r"<(?:input|select)[^>]* name=\"(\w+)\"[^>]* required[ >]", page)
        marked = re.findall(r'<label for="id_(\w+)">[^<]+<span class="needed" aria-hidden="true">\*</span>', page)
        assert (set(held), set(marked)) == (needed, needed)
        assert page.count(words or "must be filled in") == bool(words)
        # A browser holds a list to be filled in only where its first choice is empty.
        lists = re.findall(r"<select name=\"(\w+)\"[^>]* required[^>]*>\s*<option value=\"\"", page)
        assert set(lists) == needed - {"judgements"}

    def test_a_run_is_queued_with_the_options_of_the_form(
        self, client, manager, django_capture_on_commit_callbacks, sent
    ):
        client.force_login(manager.user)
        with django_capture_on_commit_callbacks(execute=True):
            page = client.post(
                reverse("run-start", args=[manager.study.slug, "pretrain"]),
                {"name": "small", "documents": "200", "max_steps": "3", "seed": "1", "base_model": ""},
            )
        run = Run.objects.get()
        assert page.url == reverse("run", args=[run.pk])
        assert run.config == {"name": "small", "documents": 200, "max_steps": 3, "seed": 1}
        assert (run.state, run.created_by, run.in_worker) == (RunState.QUEUED, manager.user, True)
        assert sent() == [run.pk]

    def test_what_cannot_work_is_said_and_nothing_is_queued(self, client, manager):
        client.force_login(manager.user)
        page = client.post(
            reverse("run-start", args=[manager.study.slug, "simulate_raters"]),
            {"judgements": "5", "raters": "2", "seed": "0"},
        )
        assert page.status_code == 422
        assert "no open tasks" in page.content.decode()
        assert not Run.objects.exists()

    @pytest.mark.parametrize(
        ("language", "choice", "words"),
        [
            ("en", ">joint</option>", "“Reward model” is needed: objective rwr"),
            ("zh-hans", ">联合训练 (joint)</option>", "需要“奖励模型”：训练目标 rwr"),
        ],
    )
    def test_choices_and_refusals_speak_the_language_of_the_page(self, language, choice, words, client, manager):
        client.force_login(manager.user)
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
        address = reverse("run-start", args=[manager.study.slug, "pretrain"])
        assert choice in client.get(address).content.decode()
        page = client.post(
            address, {"corpus": "demo", "documents": "200", "max_steps": "3", "seed": "1", "objective": "rwr"}
        )
        assert page.context["form"].non_field_errors()[0].startswith(words)

    @pytest.mark.parametrize(("language", "chosen"), [("en", "demo"), ("zh-hans", "中文演示 (demo-zh)")])
    def test_a_page_offers_a_corpus_of_its_language_first(self, language, chosen, client, manager):
        client.force_login(manager.user)
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
        page = client.get(reverse("run-start", args=[manager.study.slug, "pretrain"])).content.decode()
        assert re.search(r'<option value="[^"]*" selected>([^<]*)', page)[1] == chosen

    def test_files_of_the_server_cannot_be_named(self, client, manager):
        client.force_login(manager.user)
        address = reverse("run-start", args=[manager.study.slug, "pretrain"])
        values = {"output": "/etc/x", "documents": "200", "max_steps": "3", "seed": "1"}
        assert "corpus" in client.post(address, values | {"corpus": "/etc/passwd"}).context["form"].errors
        assert not Run.objects.exists()
        client.post(address, values | {"corpus": "study"})
        client.post(address, values | {"corpus": "demo"})
        assert Run.objects.get().config["corpus"] == "demo"  # the study has no responses to learn from
        assert "output" not in Run.objects.get().config
        address = reverse("run-start", args=[manager.study.slug, "import_prompts"])
        assert client.get(address).status_code == 404


class TestUploads:
    def test_prompts_become_an_import_run_that_works(self, client, manager, settings, tmp_path):
        settings.VAR_DIR = settings.RUNS_DIR = tmp_path
        client.force_login(manager.user)
        file = SimpleUploadedFile("../../etc/Prompts.CSV", b"text\nWhat is new?\n")
        client.post(reverse("import-prompts", args=[manager.study.slug]), {"file": file})
        run = Run.objects.get()
        assert run.config["file"].startswith(str(tmp_path / "uploads"))
        assert run.config["file"].endswith("file.csv")
        from training.runs.execution import execute_run

        assert execute_run(run=run).result["prompts"] == 1
        assert manager.study.prompts.get().text == "What is new?"

    def test_columns_are_mapped_and_what_is_not_read_is_named(self, client, manager, settings, tmp_path):
        from training.runs.execution import execute_run

        settings.VAR_DIR = settings.RUNS_DIR = tmp_path
        client.force_login(manager.user)
        rows = b"ask,one,two,best,who\nWhy?,So.,No.,two,me\n"
        address = reverse("import-preferences", args=[manager.study.slug])
        client.post(address, {"file": SimpleUploadedFile("a.csv", rows)})
        refused = execute_run(run=Run.objects.get())
        assert (refused.state, "--map prompt=COLUMN" in refused.error) == (RunState.FAILED, True)
        mapping = "prompt=ask, response_a=one, response_b=two, winner=best"
        client.post(address, {"file": SimpleUploadedFile("a.csv", rows), "mapping": mapping})
        run = execute_run(run=Run.objects.latest("pk"))
        assert run.result["judgements"] == 1
        page = client.get(reverse("run", args=[run.pk])).content.decode()
        assert "ignored: who" in page
        assert "Fields that were not read" in page

    @pytest.mark.parametrize(
        ("language", "words"),
        [
            ("en", "file.csv line 3, field prompt: is missing or empty; expected a text"),
            ("zh-hans", "file.csv 第 3 行，字段 prompt：缺失或为空；应为文本"),
        ],
    )
    def test_a_bad_line_is_told_in_the_language_of_the_page(self, language, words, client, manager, settings, tmp_path):
        from training.runs.execution import execute_run

        settings.VAR_DIR = settings.RUNS_DIR = tmp_path
        client.force_login(manager.user)
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
        file = SimpleUploadedFile("pairs.csv", b"prompt,chosen,rejected\nWhy?,So.,No.\n,So.,No.\n")
        client.post(reverse("import-preferences", args=[manager.study.slug]), {"file": file})
        run = execute_run(run=Run.objects.get())
        assert (run.state, run.error) == (RunState.FAILED, words)
        assert words in client.get(reverse("run", args=[run.pk])).content.decode()
        assert not manager.study.prompts.exists()

    def test_a_missing_file_is_said(self, client, manager):
        client.force_login(manager.user)
        page = client.post(reverse("import-judgements", args=[manager.study.slug]), {})
        assert page.status_code == 422
        assert not Run.objects.exists()
