"""next_tasks on real tasks, judgements and models."""

import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import create_tasks, lease_next
from annotate.exchange.exporters.exports import pair_rows, raw_rows
from annotate.exchange.exporters.policy import Policy
from annotate.models.prompts import Response
from annotate.models.tasks import Task
from tests.factories import MembershipFactory, PromptFactory, ResponseFactory, StudyFactory, TaskFactory
from tests.training.engine.conftest import BAD, GOOD, records
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def runs_folder(settings, tmp_path):
    settings.RUNS_DIR = tmp_path / "runs"


@pytest.fixture
def study():
    """Two prompts with five responses each and a ring of tasks between neighbours; the last ring is open."""
    study = StudyFactory(replication=2)
    for links in (((0, 1), (1, 2), (2, 3), (3, 4), (4, 0)), ((0, 1), (1, 2), (3, 4), (2, 3))):
        responses = ResponseFactory.create_batch(5, prompt=PromptFactory(study=study))
        create_tasks(study=study, response_sets=[[responses[i], responses[j]] for i, j in links])
    return study


def choose(study, tmp_path, **flags):
    call_command("next_tasks", study=study.slug, json=str(tmp_path / "chosen.json"), **flags)
    return json.loads((tmp_path / "chosen.json").read_text())


def judge(rater, ranks=(1, 2)):
    assignment = lease_next(rater=rater)
    submit(assignment=assignment, answer=Answer(ranks=list(ranks)))
    return assignment.task


def in_turn(study):
    return list(Task.objects.filter(study=study).in_turn())


def test_information_closes_the_gap_of_the_graph_and_is_handed_out_first(study, tmp_path):
    Task.objects.filter(study=study).update(replication=3)
    raters, gap = MembershipFactory.create_batch(2, study=study), in_turn(study)[-1]
    for _ in range(8):
        for rater in raters:
            judge(rater)
    result = choose(study, tmp_path, by="information", count=1, random_share=0)
    assert result == {"prioritized": 1, "by_rule": 1, "at_random": 0, "tasks_made": 0, "sample": 0}
    assert Task.objects.get(study=study, chosen_by="information") == gap == judge(MembershipFactory(study=study))


def test_disagreement_asks_again_where_raters_differ(study, tmp_path):
    Task.objects.filter(study=study).update(replication=3)
    one, other, third = MembershipFactory.create_batch(3, study=study)
    for rater, differs in ((one, False), (other, True)):
        for n in range(4):
            assignment = lease_next(rater=rater)
            first = min(assignment.shown) == assignment.shown[0]
            submit(assignment=assignment, answer=Answer(ranks=[1, 2] if first != (differs and n == 2) else [2, 1]))
    choose(study, tmp_path, by="disagreement", count=1, random_share=0)
    assert judge(third) == in_turn(study)[0] == Task.objects.filter(study=study).order_by("pk")[2]


def test_the_random_share_is_a_growing_sample_in_the_order_of_keys(study, tmp_path):
    rater = MembershipFactory(study=study)
    judge(rater)
    keys = sorted(Task.objects.filter(study=study).values_list("key", flat=True))
    fresh = [key for key in keys if key != Task.objects.get(study=study, slots_taken=1).key]
    for count, drawn in ((2, 1), (4, 2)):
        result = choose(study, tmp_path, by="information", count=count, random_share=0.5)
        assert result["at_random"] == drawn
        sample = set(Task.objects.filter(study=study, chosen_by="random").values_list("key", flat=True))
        # All up to the last one drawn: the one that was judged before belongs to it if its turn has come.
        assert sample == {key for key in keys if key <= fresh[drawn - 1]}
    # What the rule chose first and reached nobody is chosen anew each time; priorities of before are gone.
    assert Task.objects.filter(study=study, priority__gt=0).count() == 4
    assert Task.objects.filter(study=study, chosen_by="information").count() <= 3


def test_exports_tell_how_a_task_was_chosen(study, tmp_path):
    rater = MembershipFactory(study=study)
    choose(study, tmp_path, by="random", count=2)
    for _ in range(3):
        judge(rater)
    by = [row[6] for row in raw_rows(study)]
    assert sorted(by) == ["", "", "random", "random", "random", "random"]
    assert len(list(pair_rows(study, policy=Policy(tasks="random")))) == 2
    assert len(list(pair_rows(study))) == 3


def test_new_tasks_are_made_of_responses_that_differ_and_were_not_compared(study, tmp_path):
    prompt = study.prompts.order_by("pk").first()
    ResponseFactory(prompt=prompt, text=prompt.responses.first().text.upper())
    judge(MembershipFactory(study=study))
    result = choose(study, tmp_path, by="information", count=0, new=6, random_share=0.5)
    made = Task.objects.filter(study=study, ad_hoc=True)
    assert result["tasks_made"] == result["prioritized"] == made.count() == 6
    assert made.filter(chosen_by="random").count() == result["at_random"] == 3
    assert made.filter(chosen_by="information").count() == 3
    for task in made:
        a, b = task.responses.all()
        assert (a.prompt_id, a.text.casefold()) != (b.prompt_id, b.text.casefold())
    # The sample of the study's own tasks never takes in what was made by a rule.
    choose(study, tmp_path, by="random", count=9)
    assert made.filter(chosen_by="information").count() == 3


def test_tasks_of_equal_texts_are_left_alone(tmp_path):
    study = StudyFactory()
    same, other = TaskFactory(study=study), TaskFactory(study=study)
    same.responses.update(text="The same.")
    assert choose(study, tmp_path, by="random", count=5)["prioritized"] == 1
    assert Task.objects.get(study=study, priority__gt=0) == other


class TestUncertainty:
    @pytest.fixture(scope="class")
    def folders(self, tmp_path_factory):
        from training.engine.preference.training import PreferenceConfig, train_preference

        made = []
        for members in (3, 1):
            folder = tmp_path_factory.mktemp("reward") / "model"
            config = PreferenceConfig(kind="linear", ensemble=members, ensemble_of="heads")
            train_preference(records(40), records(8, 40), base_model="", output=folder, config=config)
            made.append(str(folder))
        return made

    def test_the_members_contradictions_decide(self, folders, study, tmp_path):
        from training.engine.active_learning.selection import model_information
        from training.engine.models.reward import PreferenceModel

        for n, response in enumerate(Response.objects.filter(prompt__study=study).order_by("pk")):
            Response.objects.filter(pk=response.pk).update(text=f"{(GOOD, BAD)[n % 2]} {n}")
        result = choose(study, tmp_path, by="uncertainty", count=1, random_share=0, model=folders[0])
        assert result["by_rule"] == 1
        model, doubt = PreferenceModel.load(folders[0]), {}
        for task in in_turn(study):
            items = [(task.prompt.text, response.text) for response in task.responses.order_by("pk")]
            a, b = np.array(model.score_members(items)) / model.temperature
            doubt[task] = model_information(1 / (1 + np.exp(b - a))[None])[0]
        assert doubt[in_turn(study)[0]] == pytest.approx(max(doubt.values()))

    def test_one_model_alone_cannot_say(self, folders, study):
        with pytest.raises(CommandError, match=r"one model alone .* --ensemble 4"):
            call_command("next_tasks", study=study.slug, by="uncertainty", model=folders[1])
        assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"by": "information"}, "no judgements yet"),
        ({"by": "uncertainty"}, "--model is needed"),
        ({"by": "random", "count": 0}, "--count and --new are both 0"),
        ({"by": "disagreement", "new": 3}, "--new: nobody has judged these"),
        ({"by": "random", "split": "test"}, "no open tasks on its test prompts"),
        ({"by": "random", "random_share": 1.5}, "--random-share must be at most 1"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(study, flags, words):
    with pytest.raises(CommandError, match=words):
        call_command("next_tasks", study=study.slug, **flags)
    assert not Run.objects.exists()
    assert not Task.objects.exclude(chosen_by="").exists()


def test_a_page_starts_it(client, study, sent, django_capture_on_commit_callbacks):
    manager = MembershipFactory(study=study, role="manager")
    client.force_login(manager.user)
    address = reverse("run-start", args=[study.slug, "next_tasks"])
    assert "random_share" in client.get(address).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(address, {"by": "random", "count": "3", "new": "0", "random_share": "0.2", "split": "train"})
    run = Run.objects.get()
    assert (sent(), run.config["by"]) == ([run.pk], "random")
