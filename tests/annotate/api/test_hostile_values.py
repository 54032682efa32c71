"""Every field that the API takes with values that nothing can store: refused in words, never a 500."""

import json
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.db import transaction

from annotate.models.judgements import Judgement
from annotate.models.webhooks import Event
from tests.factories import CriterionFactory, TaskFactory
from tests.hostile import JSON_VALUES, with_each_value

pytestmark = pytest.mark.django_db


def bodies(study):
    task = study.tasks.first()
    shown = [response.external_id for response in task.responses.all()]
    study_fields = {"slug": "new", "name": "N", "method": "score"}
    criterion = {"key": "fluency", "name": "Fluency", "minimum": 1, "maximum": 5}
    shares = {"validation_share": 0.1, "test_share": 0.1, "replication": 3}
    texts = {"instructions": "I", "label_question": "L?", "labels": ["yes"], "ask_confidence": True}
    response = {"response": "A", "author": "m"}
    prompt = {"prompt": "Q", "prompt_id": "1", "group": "g", "split": "train", "reference": "r", "context": "b"}
    judgement = {
        "judgement_id": "1",
        "prompt_id": task.prompt.external_id,
        "shown": shown,
        "ranks": [1, 2],
        "rater": "r",
    }
    more = {"scores": {"clear": [1, 2]}, "label": "yes", "confidence": 1, "comment": "c", "seconds": 2.5}
    return [
        ("POST", "studies/", {**study_fields, "criteria": [criterion], **shares, **texts}),
        ("PATCH", "studies/shop/", {"name": "N", "description": "D", "replication": 3, "active": True, **texts}),
        ("POST", "studies/shop/prompts/", {"prompts": [prompt]}),
        ("POST", "studies/shop/responses/", {"responses": [{**prompt, **response}], "make_tasks": True}),
        ("POST", "studies/shop/judgements/", {"judgements": [{**judgement, **more, "at": "2026-01-01T00:00:00Z"}]}),
        ("POST", "studies/shop/runs/", {"kind": "simulate_raters", "options": {"judgements": 3, "raters": 2}}),
        ("POST", "studies/shop/webhooks/", {"url": "https://192.0.2.1/", "events": [Event.JUDGEMENT]}),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", range(7))
def test_every_field_of_every_body(client, bearer, owner, number):
    owner.study.labels, owner.study.ask_confidence = ["yes"], True
    owner.study.save()
    CriterionFactory(study=owner.study, key="clear")
    TaskFactory(study=owner.study)
    method, path, body = bodies(owner.study)[number]
    headers = bearer()

    def ask(raw):
        caches["process"].clear()  # which counts requests
        with transaction.atomic():
            once = {**headers, "Idempotency-Key": str(uuid4())}
            answer = client.generic(method, f"/api/v1/{path}", raw, content_type="application/json", headers=once)
            # What was stored is shown again.
            for name in ("", "shop/judgements/", "shop/prompts/") if answer.status_code < 300 else ():
                assert client.get(f"/api/v1/studies/{name}", headers=headers).status_code == 200
            transaction.set_rollback(True)
        return answer

    assert ask(json.dumps(body)).status_code in (200, 201, 422)
    for value, raw in with_each_value(body, JSON_VALUES):
        assert ask(raw).status_code < 500, (raw[:300], value[:40])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("[" * 100_000, "nested"),
        ('{"a":' * 200 + "1" + "}" * 200, "more than 100 levels"),
        ('{"name": "\\ud800"}', "surrogate"),
        ('{"name": 1e999}', "number"),
        ('{"name": 99999999999999999999}', "64 bits"),
        ("9" * 5000, "JSON"),
    ],
)
def test_the_error_says_what_is_wrong_with_the_body(client, bearer, owner, raw, words):
    answer = client.generic("PATCH", "/api/v1/studies/shop/", raw, content_type="application/json", headers=bearer())
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("number", ["9" * 30, "9223372036854775808", "9" * 5000])
def test_numbers_in_addresses(client, bearer, owner, number):
    headers = bearer()
    for path in ("runs/{}/", "runs/{}/cancel/", "models/{}/rewards/", "models/1/preference/{}/2/", "webhooks/{}/"):
        for method in ("GET", "POST", "DELETE"):
            answer = client.generic(method, f"/api/v1/studies/shop/{path.format(number)}", headers=headers)
            assert answer.status_code in (404, 405)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1800-01-01T00:00:00Z"])
def test_moments_that_are_not_of_the_past(api, owner, at):
    task = TaskFactory(study=owner.study)
    shown = [response.external_id for response in task.responses.all()]
    output = {"judgement_id": "1", "prompt_id": task.prompt.external_id, "shown": shown, "ranks": [1, 2], "rater": "r"}
    answer = api("POST", "studies/shop/judgements/", {"judgements": [{**output, "at": at}]})
    assert answer.status_code == 422
    assert "at" in answer.json()["detail"]
    assert not Judgement.objects.exists()
