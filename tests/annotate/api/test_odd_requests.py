"""Requests that no program of ours sends: refused in words, never a 500."""

from base64 import b64encode

import pytest
from django.urls import reverse

from annotate.collection.leases import lease_next
from annotate.models.choices import AssignmentState
from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment
from tests.factories import MembershipFactory, StudyFactory, TaskFactory
from training.models import ModelKind, ModelVersion, Run

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "inside", [b"p=abc", b"p=" + b"9" * 40, b"p=\0", b"o=-1&p=1", b"p=1&r=1&o=99999", b"\xff", b"p=1.5"]
)
def test_a_cursor_that_was_made_up_is_refused(api, owner, inside):
    answer = api("GET", f"studies/?cursor={b64encode(inside).decode()}")
    assert answer.status_code in (200, 404), answer.content


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 30, "-1", "x", "\u00b2"])
def test_numbers_that_are_none_are_passed_over(client, number):
    rater = MembershipFactory(study=StudyFactory(slug="shop"))
    TaskFactory(study=rater.study)
    client.force_login(rater.user)
    assert client.post("/studies/shop/rate/prefetch/", {"beyond": number}).status_code == 200
    assert client.get(f"/studies/shop/practice/?n={number}").status_code < 400


@pytest.mark.parametrize("moment", ["2026-99-99T00:00:00Z", "", "now", "9" * 5000])
def test_a_moment_that_is_none_changes_nothing(client, moment):
    rater = MembershipFactory(study=StudyFactory(slug="shop"))
    TaskFactory(study=rater.study)
    client.force_login(rater.user)
    assignment = lease_next(rater=rater)
    address = reverse("release", args=[assignment.pk])
    answer = client.post(address, {"expires": moment}, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert Assignment.objects.get().state == AssignmentState.RETURNED


def test_ids_of_another_study_in_a_body_are_not_known(api, owner):
    elsewhere = TaskFactory()
    prompt, (one, other) = elsewhere.prompt, elsewhere.responses.all()
    model = ModelVersion.objects.create(study=elsewhere.study, kind=ModelKind.POLICY, name="m", path="/m")
    run = {"kind": "generate_responses", "options": {"model": str(model.pk)}}
    assert "model" in api("POST", "studies/shop/runs/", run).json()["options"]
    own = TaskFactory(study=owner.study).prompt
    for asked in (prompt, own):
        shown = [one.external_id, other.external_id]
        output = {"judgement_id": "1", "prompt_id": asked.external_id, "shown": shown, "ranks": [1, 2], "rater": "r"}
        answer = api("POST", "studies/shop/judgements/", {"judgements": [output]})
        assert answer.status_code == 422, answer.content
    assert not Run.objects.exists()
    assert not Judgement.objects.exists()
