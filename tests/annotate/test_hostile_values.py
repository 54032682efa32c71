"""Every address and every field of every form with values that nothing can store: refused in words, never a 500."""

from html.parser import HTMLParser

import pytest
from django.db import transaction
from django.urls import resolve, reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.members.operations import invite
from annotate.models.judgements import Judgement
from tests.annotate.test_access import MANAGERS, RATERS, address, patterns
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory, UserFactory
from tests.hostile import VALUES
from training.models import ModelKind, ModelVersion, Round, Run, RunKind

pytestmark = pytest.mark.django_db

# What addresses ask for in their query.
ASKED = [
    *("page", "q", "n", "template", "who", "answers", "criterion", "model", "group", "prompt", "controls", "weights"),
    *("interval", "plot", "part", "judge", "then", "split", "ties", "min_agreement", "min_raters", "raters", "texts"),
    *("format", "file_type", "next"),
]
# Each of them ends or changes something for good, or starts an import of a file.
UNFILLED = {"import-prompts", "import-judgements", "import-preferences", "gold-upload"}


class Forms(HTMLParser):
    """The forms of a page: (action, {name of a field: its value})."""

    def __init__(self, html):
        super().__init__()
        self.forms, self.select = [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form" and given.get("method") == "post":
            self.forms.append((given.get("action") or "", {}))
        elif self.forms and tag in ("input", "textarea", "select", "button") and given.get("name"):
            fields = self.forms[-1][1]
            # Of radio buttons the first is as good as any.
            if given.get("type") != "file" and not (given.get("type") == "radio" and given["name"] in fields):
                fields[given["name"]] = given.get("value") or ""
            self.select = given["name"] if tag == "select" else None
        elif tag == "option" and self.select and ("selected" in given or not self.forms[-1][1][self.select]):
            self.forms[-1][1][self.select] = given.get("value") or ""


def some_values(turn):
    """Three of the values, others at each turn: all fields with all values take minutes and find no more."""
    return [VALUES[(turn + step) % len(VALUES)] for step in (0, 5, 10)]


def each_field(fields):
    """The form with one field after another set to some values, one after another."""
    for turn, name in enumerate(sorted(fields.keys() - {"csrfmiddlewaretoken"})):
        for value in some_values(turn):
            yield name, value, {**fields, name: value}


def kept(client, method, url, data=None, **options):
    """The status of the answer, and of the page that it leads to; nothing that the request stored stays."""
    with transaction.atomic():
        answer = getattr(client, method)(url, data, follow=True, **options)
        transaction.set_rollback(True)
    return answer.status_code


@pytest.fixture
def study():
    study = StudyFactory(
        slug="shop", require_reading=False, labels=["yes", "no"], ask_confidence=True, ask_rewrite=True
    )
    CriterionFactory(study=study, key="clear")
    TaskFactory.create_batch(4, study=study)
    policy = ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name="m", path="/m")
    Round.objects.create(study=study, number=1, policy=policy)
    for _ in range(2):
        Run.objects.create(study=study, kind=RunKind.PRETRAIN)
    invite(study=study, days=3)
    return study


@pytest.fixture
def rater(study):
    rater = MembershipFactory(study=study)
    scores = {"clear": [1, 2]}
    submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2], scores=scores, label="yes", confidence=1))
    lease_next(rater=rater)
    return rater


def pages(names, study, rater):
    return [(name, address(name, study, rater)) for name in sorted(names - UNFILLED) if "token" not in patterns()[name]]


def test_the_query_of_every_address(client, study, rater, owner_of_all):
    found = []
    for user, names in ((rater.user, RATERS | {"correct"}), (owner_of_all, MANAGERS | {"studies", "study-create"})):
        client.force_login(user)
        for turn, (name, url) in enumerate(pages(names, study, rater)):
            for value in some_values(turn):
                if (status := kept(client, "get", url, dict.fromkeys(ASKED, value[:2000]))) >= 500:
                    found.append((name, value[:30], status))
    assert found == []


@pytest.fixture
def owner_of_all(study, django_user_model):
    user = UserFactory(is_superuser=True)
    MembershipFactory(study=study, user=user, role="owner")
    return user


@pytest.mark.slow
@pytest.mark.parametrize("who", ["rater", "manager"])
def test_every_field_of_every_form(client, study, rater, owner_of_all, who):
    mine = RATERS | {"correct"} if who == "rater" else MANAGERS | {"study-create", "tokens", "account_change_password"}
    client.force_login(rater.user if who == "rater" else owner_of_all)
    filled, seen = 0, set()
    for name, url in pages(mine, study, rater):
        with transaction.atomic():
            answer = client.get(url)
            transaction.set_rollback(True)
        if not answer.get("Content-Type", "").startswith("text/html") or answer.streaming:
            continue
        for action, fields in Forms(answer.content.decode()).forms:
            # The head of every page has forms of its own, and lists have one a row.
            kind = (resolve((action or url).split("?")[0]).view_name, frozenset(fields))
            if kind in seen or kind[0] in ("account_logout", "language"):
                continue
            seen.add(kind)
            for field, value, data in each_field(fields):
                status = kept(client, "post", action or url, data)
                assert status < 500, (name, action, field, value[:30])
                filled += 1
    assert filled > 30


@pytest.mark.parametrize("name", ["account_login", "join", "password-new"])
def test_forms_of_strangers(client, study, rater, name):
    token = study.invitations.first().token
    url = {"account_login": "/login/", "join": f"/join/{token}/", "password-new": "/password/MQ/set-password/"}[name]
    fields = {"login": "a", "username": "a", "password": "b", "next": "/", "remember": "on", "new_password1": "x"}
    for _field, value, data in each_field(fields):
        assert kept(client, "post", url, data) < 500, value[:30]


@pytest.mark.parametrize("number", ["9" * 30, "9223372036854775808", "9" * 5000, "٣"])
def test_numbers_in_addresses(client, study, rater, owner_of_all, number):
    client.force_login(owner_of_all)
    expected = {
        name: converters for name, converters in patterns().items() if {"pk", "number", "other"} & set(converters)
    }
    names = {"slug": "shop", "kind": "pretrain", "form": "pairs", "file_type": "csv", "key": "writing", "token": "x"}
    for name, converters in expected.items():
        if name.startswith("api-"):
            continue
        url = reverse(name, kwargs={key: names.get(key, 424242) for key in converters}).replace("424242", number)
        assert {client.get(url).status_code, client.post(url).status_code} <= {404, 405}, name


@pytest.mark.parametrize(
    "path",
    [
        "/join/%00/",
        "/join/%ED%A0%80/",
        "/studies/%00/",
        "/password/%00/a/",
        "/studies/shop/export/%00.csv",
        "/studies/shop/runs/new/%00/",
        "/oidc/%00/login/",
        "/%00",
    ],
)
def test_paths_that_no_text_can_be(client, owner_of_all, path):
    client.force_login(owner_of_all)
    assert client.get(path).status_code in (400, 404)


def test_one_key_for_two_answers(client, study, rater):
    """A key that has been used stores nothing more."""
    client.force_login(rater.user)
    key = "6f1c5a1e-8e54-4b44-9c3c-0b8b9a3f3c11"
    data = {
        "preference": "a2",
        "score_0_clear": "1",
        "score_1_clear": "2",
        "label": "yes",
        "confidence": "1",
        "submission": key,
    }
    before, statuses = Judgement.objects.count(), []
    for _ in range(2):
        assignment = lease_next(rater=rater)
        url = reverse("judge", args=[assignment.pk])
        statuses.append(client.post(url, data, headers={"Accept": "application/json"}).status_code)
    assert statuses == [200, 409]
    assert Judgement.objects.count() == before + 1
    correction = reverse("correct", args=[rater.judgements.first().pk])
    assert client.post(correction, data).status_code == 422
    assert Judgement.objects.count() == before + 1
