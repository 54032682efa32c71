"""Every address, by who asks: made from the list of addresses, so that a new one without a row here fails."""

import pytest
from django.urls import URLPattern, get_resolver, reverse

from annotate.judgements.operations import Answer, submit
from annotate.known_answers.operations import set_known_answer
from annotate.members.operations import invite
from annotate.tasks.operations import lease_next
from tests.factories import MembershipFactory, StudyFactory, TaskFactory, UserFactory
from training.models import ModelKind, ModelVersion, Round, Run, RunKind

pytestmark = pytest.mark.django_db

OPEN = {"login", "join"}
ANYBODY = {"logout", "studies", "study-create", "study-create-preview"}
# Addresses of members, with what a rater may see of them; the rest belongs to managers.
RATERS = {"rate", "rate-ahead", "instructions", "practice", "history", "undo"}
OWN = {"judge", "skip", "give-back", "draft", "correct"}
MANAGERS = {
    *("study-overview", "study-settings", "study-add-scale", "study-preview", "study-state"),
    *("study-members", "study-member-tags", "study-member-let-go-on", "study-member-remove"),
    *("study-invite", "invitation-withdraw", "work", "standings", "standings-file"),
    *("quality", "quality-file", "quality-raters", "quality-raters-file", "quality-rater"),
    *("review", "resolve-flags", "decide", "known-answer-new", "known-answer", "known-answer-take-out"),
    *("runs", "run-start", "run", "run-live", "run-cancel", "models", "model", "model-why", "round"),
    *("exchange", "export", "export-choose", "import-prompts", "import-judgements"),
}


def patterns():
    found = {}

    def walk(entries):
        for entry in entries:
            if isinstance(entry, URLPattern):
                found[entry.name] = entry.pattern.converters
            else:
                walk(entry.url_patterns)

    walk(get_resolver().url_patterns)
    return found


@pytest.fixture
def study():
    """A study with one of everything."""
    study = StudyFactory(slug="shop", require_reading=False)
    TaskFactory.create_batch(4, study=study)
    policy = ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name="m", path="/m")
    Round.objects.create(study=study, number=1, policy=policy)
    Run.objects.create(study=study, kind=RunKind.PRETRAIN)
    invite(study=study, days=3)
    return study


@pytest.fixture
def rater(study):
    rater = MembershipFactory(study=study)
    submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2]))
    lease_next(rater=rater)
    return rater


def address(name, study, rater):
    """The address of the study's own object of this kind."""
    task = study.tasks.order_by("-id").first()
    if name == "known-answer-take-out":
        set_known_answer(task=task, purpose="gold", ranks=[1, 2])
    objects = {
        **dict.fromkeys(("judge", "skip", "give-back", "draft"), rater.assignments.leased().first()),
        "correct": rater.judgements.first(),
        **dict.fromkeys(("resolve-flags", "decide", "known-answer", "known-answer-take-out"), task),
        **dict.fromkeys(("study-member-tags", "study-member-let-go-on", "study-member-remove", "quality-rater"), rater),
        "invitation-withdraw": study.invitations.first(),
        **dict.fromkeys(("run", "run-live", "run-cancel"), study.runs.first()),
        **dict.fromkeys(("model", "model-why"), study.model_versions.first()),
    }
    values = {"slug": study.slug, "kind": "pretrain", "number": 1, "form": "pairs", "file_type": "csv"}
    if name in objects:
        values["pk"] = objects[name].pk
    wanted = patterns()[name]
    return reverse(name, kwargs={key: values[key] for key in wanted})


def status(client, url):
    """What the address answers, asked for and posted to; 405 says nothing about who may."""
    return {answer.status_code for answer in (client.get(url), client.post(url))} - {405}


def test_every_address_has_a_row():
    assert set(patterns()) == OPEN | ANYBODY | RATERS | OWN | MANAGERS


@pytest.mark.parametrize("name", sorted(ANYBODY - {"logout"} | RATERS | OWN | MANAGERS))
def test_strangers_are_sent_to_sign_in(client, study, rater, name):
    for answer in (client.get(address(name, study, rater)), client.post(address(name, study, rater))):
        assert answer.status_code == 302
        assert answer.url.startswith(reverse("login"))


@pytest.mark.parametrize("who", ["nobody", "foreign owner", "removed manager"])
@pytest.mark.parametrize("name", sorted(RATERS | OWN | MANAGERS))
def test_who_does_not_belong_to_the_study_finds_nothing(client, study, rater, name, who):
    if who == "nobody":
        user = UserFactory()
    elif who == "foreign owner":
        user = MembershipFactory(role="owner").user
    else:
        user = MembershipFactory(study=study, role="manager", active=False).user
    client.force_login(user)
    assert status(client, address(name, study, rater)) == {404}


@pytest.mark.parametrize("name", sorted(MANAGERS))
def test_raters_do_not_find_the_managers_addresses(client, study, rater, name):
    client.force_login(rater.user)
    assert status(client, address(name, study, rater)) == {404}


@pytest.mark.parametrize("name", sorted(OWN))
def test_what_a_rater_holds_is_there_for_no_other_member(client, study, rater, name):
    url = address(name, study, rater)
    for role in ("rater", "owner"):
        client.force_login(MembershipFactory(study=study, role=role).user)
        assert status(client, url) == {404}


@pytest.mark.parametrize("name", sorted(RATERS | OWN))
def test_a_rater_finds_what_is_the_raters(client, study, rater, name):
    client.force_login(rater.user)
    assert not status(client, address(name, study, rater)) & {403, 404, 500}


@pytest.mark.parametrize("name", sorted(MANAGERS))
def test_a_manager_finds_what_is_the_managers(client, study, rater, name):
    client.force_login(MembershipFactory(study=study, role="manager").user)
    assert not status(client, address(name, study, rater)) & {403, 404, 500}
