"""Every address, by who asks: made from the list of addresses, so that a new one without a row here fails."""

import pytest
from django.urls import URLPattern, get_resolver, reverse

from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.members.operations import invite
from annotate.models.webhooks import Webhook
from tests.factories import MembershipFactory, StudyFactory, TaskFactory, UserFactory
from training.models import ModelKind, ModelVersion, ResponseReward, Round, Run, RunKind

pytestmark = pytest.mark.django_db

OPEN = {
    "account_login",
    "account_logout",
    "join",
    "password-new",
    "metrics",
    "api-schema",
    "api-docs",
    "language",
}
# allauth's own, which decide by the state of the sign-in; what they may do is tested in members/test_sign_in.py.
SIGN_IN = {
    *("account_signup", "account_inactive", "mfa_authenticate", "socialaccount_signup"),
    *("socialaccount_login_cancelled", "socialaccount_login_error", "openid_connect_login", "openid_connect_callback"),
}
ANYBODY = {
    *("studies", "account", "tokens", "sessions", "sessions-end-others", "personal-data"),
    *("account-log", "account-log-file"),
    *("account_reauthenticate", "account_change_password", "account_set_password", "socialaccount_connections"),
    *("mfa_index", "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp"),
    *("mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes"),
}
MAKERS = {"study-create", "study-create-demo", "study-create-preview"}
# Each account's own; for everybody else they are not there.
ACCOUNTS = {"token-end", "session-end"}
# For superusers; for others they are not there.
ADMINISTRATORS = {"all-tokens", "all-tokens-end"}
API_OF_ALL = {"api-studies"}
API = {
    *("api-study", "api-prompts", "api-responses", "api-judgements", "api-export", "api-runs", "api-run"),
    *("api-run-cancel", "api-models", "api-rewards", "api-preference", "api-webhooks", "api-webhook"),
}
# Addresses of members, with what a rater may see of them; the rest belongs to managers.
RATERS = {"rate", "rate-prefetch", "instructions", "practice", "history", "undo", "about-me"}
OWN = {"judge", "skip", "release", "draft", "correct"}
MANAGERS = {
    "study-delete",
    *("study-overview", "study-settings", "study-add-scale", "study-preview", "study-state"),
    "study-open-imported",
    *("study-members", "study-member-tags", "study-member-reinstate", "study-member-remove"),
    *("study-invite", "invitation-withdraw", "work", "standings", "standings-file"),
    *("quality", "quality-file", "quality-raters", "quality-raters-file", "quality-rater", "machines", "fairness"),
    "machines-file",
    *("study-report", "model-rewards"),
    *("review", "resolve-flags", "decide", "gold-new", "gold", "gold-retire"),
    "gold-upload",
    *("runs", "run-start", "run", "run-live", "run-compare", "run-cancel", "run-resend"),
    *("models", "model", "model-promote", "model-why", "round", "rounds-file"),
    *("audit", "audit-file", "study-member-erase", "study-member-password"),
    *("exchange", "export", "export-choose", "import-prompts", "import-judgements", "import-preferences"),
}

RUN_ADDRESSES = ("run", "run-live", "run-compare", "run-cancel", "run-resend", "api-run", "api-run-cancel")
MODEL_ADDRESSES = ("model", "model-promote", "model-why", "model-rewards", "api-rewards", "api-preference")


def patterns():
    found = {}

    def walk(entries):
        for entry in entries:
            if isinstance(entry, URLPattern):
                found[entry.name] = entry.pattern.converters
            elif entry.namespace != "admin":  # tests/palate/test_operators.py
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
    for response in study.tasks.first().responses.all():
        ResponseReward.objects.create(version=policy, response=response, reward=0.5, log_odds=0.1)
    for _ in range(2):
        Run.objects.create(study=study, kind=RunKind.PRETRAIN)
    invite(study=study, days=3)
    Webhook.objects.create(study=study, url="https://example.com/", events=[], secret="x")
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
    if name == "gold-retire":
        set_known_answer(task=task, purpose="gold", ranks=[1, 2])
    objects = {
        **dict.fromkeys(("judge", "skip", "release", "draft"), rater.assignments.leased().first()),
        "correct": rater.judgements.first(),
        **dict.fromkeys(("resolve-flags", "decide", "gold", "gold-retire"), task),
        **dict.fromkeys(("study-member-tags", "study-member-reinstate", "study-member-remove", "quality-rater"), rater),
        "invitation-withdraw": study.invitations.first(),
        **dict.fromkeys(RUN_ADDRESSES, study.runs.first()),
        **dict.fromkeys(("study-member-erase", "study-member-password"), rater),
        "api-webhook": study.webhooks.first(),
        **dict.fromkeys(MODEL_ADDRESSES, study.model_versions.first()),
    }
    values = {
        "slug": study.slug,
        "kind": "pretrain",
        "number": 1,
        "form": "pairs",
        "file_type": "csv",
        "key": "writing",
    }
    scored = ResponseReward.objects.filter(response__prompt__study=study).values_list("response", flat=True)
    values["other"] = study.runs.last().pk
    values |= dict(zip("ab", scored, strict=False))
    values["key"] = "writing"
    values["token"] = study.invitations.first().token
    if name in objects:
        values["pk"] = objects[name].pk
    expected = patterns()[name]
    return reverse(name, kwargs={key: values[key] for key in expected})


def status(client, url):
    """What the address answers, asked for and posted to; 405 says nothing about who may."""
    answers = [client.get(url), client.post(url)]
    if url.startswith("/api/"):
        answers.append(client.delete(url))
    return {answer.status_code for answer in answers} - {405}


def test_every_address_has_a_row():
    members = RATERS | OWN | MANAGERS
    assert set(patterns()) == OPEN | SIGN_IN | ANYBODY | MAKERS | ACCOUNTS | ADMINISTRATORS | API_OF_ALL | API | members


@pytest.mark.parametrize("name", sorted(ANYBODY | MAKERS | RATERS | OWN | MANAGERS))
def test_strangers_are_sent_to_sign_in(client, study, rater, name):
    for answer in (client.get(address(name, study, rater)), client.post(address(name, study, rater))):
        assert answer.status_code == 302
        assert answer.url.startswith(reverse("account_login"))


@pytest.mark.parametrize("name", sorted(API | API_OF_ALL))
def test_programs_without_a_token_are_told_nothing(client, study, rater, name):
    assert status(client, address(name, study, rater)) == {401}


@pytest.mark.parametrize("who", ["nobody", "foreign owner", "removed manager"])
@pytest.mark.parametrize("name", sorted(RATERS | OWN | MANAGERS | API))
def test_who_does_not_belong_to_the_study_finds_nothing(client, study, rater, name, who):
    if who == "nobody":
        user = UserFactory()
    elif who == "foreign owner":
        user = MembershipFactory(role="owner").user
    else:
        user = MembershipFactory(study=study, role="manager", active=False).user
    client.force_login(user)
    assert status(client, address(name, study, rater)) == {404}


@pytest.mark.parametrize("name", sorted(MANAGERS | API))
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


@pytest.mark.parametrize("name", sorted(MANAGERS | API))
def test_an_auditor_finds_what_managers_look_at_and_can_post_nothing(client, study, rater, name):
    """Looking gives what it gives a manager; a POST finds nothing, or is nothing that the address takes."""
    url = address(name, study, rater)
    looked = []
    for role in ("auditor", "manager"):
        client.force_login(MembershipFactory(study=study, role=role).user)
        looked.append(client.get(url).status_code)
    assert looked[0] == looked[1]
    client.force_login(MembershipFactory(study=study, role="auditor").user)
    assert client.post(url).status_code in (404, 405)


@pytest.mark.parametrize("name", sorted(RATERS | OWN))
def test_an_auditor_does_not_rate(client, study, rater, name):
    client.force_login(MembershipFactory(study=study, role="auditor").user)
    assert status(client, address(name, study, rater)) == {404}


@pytest.mark.parametrize("name", sorted(MANAGERS | API))
def test_a_manager_finds_what_is_the_managers(client, study, rater, name):
    client.force_login(MembershipFactory(study=study, role="manager").user)
    assert not status(client, address(name, study, rater)) & {403, 404, 500}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_studies_are_made_by_whoever_runs_one_or_has_the_permission(client, study, rater, name):
    """Whoever owns a study may start runs: that is not for everybody who came by a link."""
    url = address(name, study, rater)
    auditor = MembershipFactory(study=study, role="auditor").user
    for user in (UserFactory(), rater.user, auditor, MembershipFactory(role="owner", active=False).user):
        client.force_login(user)
        assert status(client, url) == {403}
        assert reverse("study-create") not in client.get(reverse("studies")).content.decode()
    for user in (MembershipFactory(role="manager").user, UserFactory(is_superuser=True)):
        client.force_login(user)
        assert not status(client, url) & {403, 404, 500}
        assert reverse("study-create") in client.get(reverse("studies")).content.decode()


def test_an_auditor_is_shown_the_way_to_the_study_and_nothing_to_rate(client, study, rater):
    client.force_login(MembershipFactory(study=study, role="auditor").user)
    page = client.get(reverse("studies")).content.decode()
    assert reverse("study-overview", args=["shop"]) in page
    assert reverse("rate", args=["shop"]) not in page
