"""Imported comparisons can be handed out to raters of the study, too."""

import pytest
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.collection.opening import MAX_RATERS, imported_tasks, open_imported
from annotate.exchange.importers.preferences import import_preferences
from annotate.models.judgements import Judgement
from annotate.models.review import Flag
from annotate.models.studies import Study
from annotate.models.tasks import Task
from core.errors import PalateError
from tests.factories import MembershipFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(tmp_path):
    """Three imported comparisons, one of them judged twice, one for German raters; and a task of the study's own."""
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        '{"prompt": "P1", "chosen": "A", "rejected": "B"}\n'
        '{"prompt": "P2", "chosen": "write to ann@palate.example", "rejected": "D"}\n'
        '{"prompt": "P2", "chosen": "D", "rejected": "write to ann@palate.example"}\n'
        '{"prompt": "P3", "chosen": "E", "rejected": "F"}\n'
    )
    import_preferences(slug="shop", path=file)
    study = Study.objects.get(slug="shop")
    study.require_reading = False
    study.save()
    study.prompts.filter(text="P3").update(audience=["de"])
    return study


def given(rater):
    """The prompts of the tasks that the rater is given, which are judged."""
    prompts = []
    while assignment := lease_next(rater=rater):
        submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
        prompts.append(assignment.task.prompt.text)
    return prompts


def test_raters_are_given_imported_tasks_once_they_are_opened(study):
    raters = MembershipFactory.create_batch(3, study=study)
    assert given(raters[0]) == []
    assert imported_tasks(study).count() == 3
    assert open_imported(study=study, raters=2) == 3
    assert [given(rater) for rater in raters] == [["P1", "P2"], ["P1", "P2"], []]
    assert given(MembershipFactory(study=study, tags=["de"])) == ["P3"]
    assert Judgement.objects.live().filter(rater__kind="imported").count() == 4
    assert list(Task.objects.order_by("pk").values_list("slots_taken", "replication")) == [(3, 3), (4, 4), (2, 3)]


def test_again_changes_nothing_and_more_raters_add_to_it(study):
    own = TaskFactory(study=study, replication=1)
    assert [open_imported(study=study, raters=n) for n in (1, 1, 3, 2)] == [3, 0, 3, 0]
    assert list(Task.objects.order_by("pk").values_list("replication", flat=True)) == [4, 5, 4, 1]
    assert given(MembershipFactory(study=study)) == ["P1", "P2", own.prompt.text]


def test_what_seems_personal_waits_for_review_first(study):
    study.flag_personal_data = True
    study.save()
    open_imported(study=study, raters=1)
    assert given(MembershipFactory(study=study)) == ["P1"]
    assert Flag.objects.get().task.prompt.text == "P2"


@pytest.mark.parametrize("raters", [0, -1, MAX_RATERS + 1])
def test_a_number_that_does_not_fit_is_refused(study, raters):
    with pytest.raises(PalateError, match="between 1 and 100"):
        open_imported(study=study, raters=raters)


def test_a_manager_does_it_on_the_settings_page(client, study):
    client.force_login(MembershipFactory(study=study, role="manager").user)
    settings, address = reverse("study-settings", args=["shop"]), reverse("study-open-imported", args=["shop"])
    assert "3 tasks came with votes of imported raters" in client.get(settings).content.decode()
    assert client.post(address, {"raters": "0"}).status_code == 422
    page = client.post(address, {"raters": "1"}, follow=True)
    assert "3 tasks ask for more raters now." in page.content.decode()
    assert study.audit.get().details == {"raters": 1, "tasks": 3}
    assert given(MembershipFactory(study=study)) == ["P1", "P2"]
