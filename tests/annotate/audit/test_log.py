"""The log: every address that changes something leaves an entry, none is changed, and what is in it can be found."""

import csv
import io

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, IntegrityError, connection, transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from annotate.api.tokens import make_token
from annotate.audit.operations import record, recorded
from annotate.collection.flags import flag
from annotate.collection.gold import set_known_answer
from annotate.collection.leases import lease_next
from annotate.members.erasure import erase_member
from annotate.members.passwords import password_path
from annotate.models.accounts import User
from annotate.models.api import Scope
from annotate.models.audit import Action, Entry
from annotate.studies.operations import erase_study
from tests.annotate.studies.test_views import filled_in
from tests.annotate.test_access import patterns
from tests.factories import MembershipFactory, StudyFactory, TaskFactory, UserFactory
from training.models import ModelKind, ModelVersion, Run, RunKind, RunState

pytestmark = pytest.mark.django_db
PASSWORD, NEW_PASSWORD = "a long enough password", "another long one"

# Addresses at which a POST changes nothing that is to be logged, and why.
NOT_LOGGED = {
    "a choice of this browser": {"language"},
    "shows what would be": {"study-create-preview", "study-preview", "export-choose"},
    "asks who is there; the sign-in itself is logged": {
        *("account_reauthenticate", "mfa_authenticate", "mfa_reauthenticate", "account_signup", "account_inactive"),
        *("socialaccount_login_cancelled", "socialaccount_login_error", "socialaccount_signup"),
        *("openid_connect_login", "openid_connect_callback"),
    },
    "a rater's own work, which has a history of its own": {
        *("judge", "skip", "release", "draft", "correct", "undo", "practice", "instructions", "about-me"),
        "rate-prefetch",
    },
    "written by signals of allauth, tested in test_what_allauth_does_is_logged": {
        *("account_set_password", "socialaccount_connections", "mfa_activate_totp", "mfa_deactivate_totp"),
        "mfa_generate_recovery_codes",
    },
}


class World:
    """A study with one of everything that can be changed, and its owner."""

    def __init__(self):
        self.owner = MembershipFactory(role="owner", study=StudyFactory(slug="shop", require_reading=False))
        self.study, self.user = self.owner.study, self.owner.user
        self.user.set_password(PASSWORD)
        self.user.is_superuser = True
        self.user.save()
        self.rater = MembershipFactory(study=self.study, made_account=True)
        self.rater.user.set_password(PASSWORD)
        self.rater.user.save()
        self.tasks = TaskFactory.create_batch(6, study=self.study)
        self.policy = ModelVersion.objects.create(study=self.study, kind=ModelKind.POLICY, name="m", path="/m")
        self.run = Run.objects.create(study=self.study, kind=RunKind.SIMULATE, in_worker=True)
        self.hook = self.study.webhooks.create(url="https://8.8.8.8/", events=["run.ended"], secret="x")
        self.invitation = self.study.invitations.create(token="token", expires_at="2100-01-01T00:00Z")

    def token(self):
        return make_token(user=self.user, name="t", scopes=[Scope.READ], days=9)[0].pk

    def known(self):
        set_known_answer(task=self.tasks[0], purpose="gold", ranks=[1, 2])
        return self.tasks[0].pk

    def flagged(self):
        flag(assignment=lease_next(rater=self.rater), kind="unsafe")
        return self.study.tasks.filter(flags__isnull=False).first().pk

    def session(self):
        return UserSession.objects.create(user=self.user, session_key="k" * 32, ip="127.0.0.1", user_agent="x").pk

    def waiting(self):
        Run.objects.filter(pk=self.run.pk).update(state=RunState.QUEUED)
        return self.run.pk


def filled_in_form(name, world, *where):
    """What a browser sends of the form at an address once its names are filled in."""
    client = Client()
    client.force_login(world.user)
    form = client.get(reverse(name, args=where)).context["form"]
    if name == "study-create":
        filled = filled_in([form.study, form.criteria.management_form, *form.criteria])
        return {**filled, "slug": "new-one", "name": "New", "instructions": "Compare."}
    return filled_in([form])


def upload(text):
    return SimpleUploadedFile("file.csv", text.encode())


API = {"content_type": "application/json"}
RESPONSE = {"prompt_id": "new", "prompt": "What?", "response": "That.", "author": "a"}
# Name of the address to the values in it and what is sent there.
CHANGES = {
    "account_login": (lambda w: {}, lambda w: {"login": w.user.username, "password": PASSWORD}),
    "account_logout": (lambda w: {}, lambda w: {}),
    "account_change_password": (
        lambda w: {}, lambda w: {"oldpassword": PASSWORD, **dict.fromkeys(("password1", "password2"), NEW_PASSWORD)},
    ),
    "join": (lambda w: {"token": w.invitation.token}, lambda w: {}),
    "password-new": (None, lambda w: dict.fromkeys(("new_password1", "new_password2"), NEW_PASSWORD)),
    "tokens": (lambda w: {}, lambda w: {"name": "t", "scopes": ["read"], "days": 9}),
    "token-end": (lambda w: {"pk": w.token()}, lambda w: {}),
    "all-tokens-end": (lambda w: {"pk": w.token()}, lambda w: {}),
    "session-end": (lambda w: {"pk": w.session()}, lambda w: {}),
    "sessions-end-others": (lambda w: {}, lambda w: {}),
    "study-create": (lambda w: {}, lambda w: filled_in_form("study-create", w)),
    "study-create-demo": (lambda w: {"key": "writing"}, lambda w: {}),
    "study-settings": (lambda w: {"slug": "shop"}, lambda w: filled_in_form("study-settings", w, "shop")),
    "study-add-scale": (lambda w: {"slug": "shop"}, lambda w: {"name": "Fluent", "minimum": 1, "maximum": 5}),
    "study-state": (lambda w: {"slug": "shop"}, lambda w: {"to": "pause"}),
    "study-delete": (lambda w: {"slug": "shop"}, lambda w: {"confirmation": "shop"}),
    "study-open-imported": (lambda w: {"slug": "shop"}, lambda w: {"raters": 2}),
    "study-members": (lambda w: {"slug": "shop"}, lambda w: {"username": UserFactory().username, "role": "rater"}),
    "study-member-tags": (lambda w: {"slug": "shop", "pk": w.rater.pk}, lambda w: {"tags": "de"}),
    "study-member-reinstate": (lambda w: {"slug": "shop", "pk": w.rater.pk}, lambda w: {}),
    "study-member-remove": (lambda w: {"slug": "shop", "pk": w.rater.pk}, lambda w: {}),
    "study-member-erase": (lambda w: {"slug": "shop", "pk": w.rater.pk}, lambda w: {}),
    "study-member-password": (lambda w: {"slug": "shop", "pk": w.rater.pk}, lambda w: {}),
    "study-invite": (lambda w: {"slug": "shop"}, lambda w: {"days": 3}),
    "invitation-withdraw": (lambda w: {"slug": "shop", "pk": w.invitation.pk}, lambda w: {}),
    "fairness": (lambda w: {"slug": "shop"}, lambda w: {"groups": "a\nb", "minimum": 5}),
    "resolve-flags": (lambda w: {"slug": "shop", "pk": w.flagged()}, lambda w: {"decision": "keep-out"}),
    "decide": (lambda w: {"slug": "shop", "pk": w.tasks[1].pk}, lambda w: {"preference": "a2"}),
    "gold": (
        lambda w: {"slug": "shop", "pk": w.tasks[2].pk}, lambda w: {"purpose": "gold", "preference": "a2"},
    ),
    "gold-retire": (lambda w: {"slug": "shop", "pk": w.known()}, lambda w: {}),
    "gold-upload": (
        lambda w: {"slug": "shop"}, lambda w: {"file": upload(known_answers(w.tasks[3]))},
    ),
    "run-start": (lambda w: {"slug": "shop", "kind": "simulate_raters"}, lambda w: {"judgements": 1}),
    "run-cancel": (lambda w: {"pk": w.waiting()}, lambda w: {}),
    "run-resend": (lambda w: {"pk": w.waiting()}, lambda w: {}),
    "model-promote": (lambda w: {"slug": "shop", "pk": w.policy.pk}, lambda w: {"reason": "it is better"}),
    "import-prompts": (lambda w: {"slug": "shop"}, lambda w: {"file": upload("text\nWhat?\n")}),
    "import-preferences": (lambda w: {"slug": "shop"}, lambda w: {"file": upload("prompt,chosen,rejected\na,b,c\n")}),
    "import-judgements": (
        lambda w: {"slug": "shop"},
        lambda w: {name: upload("{}") for name in ("prompts", "responses", "judgements")},
    ),
    "api-studies": (lambda w: {}, lambda w: {"slug": "new-one", "name": "New"}),
    "api-study": (lambda w: {"slug": "shop"}, lambda w: {"name": "Shop"}),
    "api-prompts": (lambda w: {"slug": "shop"}, lambda w: {"prompts": [{"prompt_id": "new", "prompt": "What?"}]}),
    "api-responses": (lambda w: {"slug": "shop"}, lambda w: {"responses": [RESPONSE]}),
    "api-judgements": (lambda w: {"slug": "shop"}, lambda w: {"judgements": [judgement(w.tasks[4])]}),
    "api-runs": (lambda w: {"slug": "shop"}, lambda w: {"kind": "simulate_raters", "options": {"judgements": 1}}),
    "api-run-cancel": (lambda w: {"slug": "shop", "pk": w.waiting()}, lambda w: {}),
    "api-webhooks": (lambda w: {"slug": "shop"}, lambda w: {"url": "https://8.8.8.8/", "events": ["run.ended"]}),
    "api-webhook": (lambda w: {"slug": "shop", "pk": w.hook.pk}, lambda w: {}),
}  # fmt: skip
# Addresses of files that hold data of a study or a secret.
FILES = {
    "export": {"slug": "shop", "form": "raw", "file_type": "csv"},
    "api-export": {"slug": "shop", "form": "raw", "file_type": "csv"},
    "api-judgements": {"slug": "shop"},
    "quality-file": {"slug": "shop", "file_type": "csv"},
    "quality-raters-file": {"slug": "shop"},
    "machines-file": {"slug": "shop", "file_type": "csv"},
    "standings-file": {"slug": "shop", "file_type": "csv"},
    "rounds-file": {"slug": "shop", "file_type": "csv"},
    "audit-file": {"slug": "shop"},
    "account-log-file": {},
    "personal-data": {},
}


def known_answers(task):
    rows = [f"{task.pk},{response.external_id},{rank}" for rank, response in enumerate(task.responses.all(), start=1)]
    return "\n".join(["task_id,response_id,rank", *rows])


def judgement(task):
    responses = [response.external_id for response in task.responses.order_by("pk")]
    return {
        "judgement_id": "j",
        "prompt_id": task.prompt.external_id,
        "rater": "r",
        "shown": responses,
        "ranks": [1, 2],
    }


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr("core.task_queue.send_task", lambda name, *arguments: None)
    return World()


def send(client, name, world):
    values, content = CHANGES[name]
    if name == "password-new":
        address = client.get(password_path(member=world.rater, asked_by=world.user), follow=True).redirect_chain[-1][0]
    else:
        address = reverse(name, kwargs=values(world))
    sent = content(world)
    before = Entry.objects.count()
    method = {"api-study": client.patch, "api-webhook": client.delete}.get(name, client.post)
    answer = method(address, sent, **(API if name.startswith("api-") else {}))
    return answer, Entry.objects.count() - before


def test_every_address_that_takes_a_post_is_spoken_of(client, world):
    """A new address has to say what it writes into the log, or why nothing."""
    spoken_of = set(CHANGES).union(*NOT_LOGGED.values())
    client.force_login(world.user)
    unknown = set()
    for name, expected in patterns().items():
        if name in spoken_of:
            continue
        values = {"slug": "shop", "pk": 1, "number": 1, "kind": "pretrain", "key": "writing", "file_type": "csv",
                  "form": "raw", "a": 1, "b": 2, "other": 1, "token": "x", "uidb64": "x"}  # fmt: skip
        address = reverse(name, kwargs={key: values[key] for key in expected})
        before = Entry.objects.count()
        if client.post(address).status_code not in (404, 405) and Entry.objects.count() == before:
            unknown.add(name)
    # Pages that answer a POST as they answer a GET.
    assert unknown <= READ_ONLY, f"add {sorted(unknown - READ_ONLY)} to CHANGES or NOT_LOGGED"


READ_ONLY = {
    *("account", "all-tokens", "sessions", "studies", "study-overview", "study-report", "work", "history", "rate"),
    *("exchange", "machines", "quality", "quality-rater", "quality-raters", "standings", "review", "gold-new"),
    *("models", "model", "model-rewards", "model-why", "runs", "run", "run-live"),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_every_change_leaves_an_entry(client, world, name):
    if name != "account_login":
        client.force_login(UserFactory() if name == "join" else world.user)
    if name == "tokens":
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    answer, entries = send(client, name, world)
    assert answer.status_code < 400, answer.content.decode()[-1500:]
    assert entries >= 1
    assert Entry.objects.exclude(actor="").count() == Entry.objects.count()


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_that_is_downloaded_leaves_an_entry(client, world, name):
    client.force_login(world.user)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    before = Entry.objects.count()
    answer = client.get(reverse(name, kwargs=FILES[name]))
    assert answer.status_code == 200
    entries = list(Entry.objects.all())[: Entry.objects.count() - before]
    assert entries
    assert {(entry.action, entry.actor) for entry in entries} == {(Action.EXPORTED, world.user.username)}


def test_what_allauth_does_is_logged(client, world):
    from allauth.account.signals import password_set
    from allauth.mfa.models import Authenticator
    from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset

    request = RequestFactory().get("/")
    request.user, request.session = world.user, SessionStore()
    for signal in (authenticator_added, authenticator_removed, authenticator_reset):
        signal.send(Authenticator, request=request, user=world.user, authenticator=None)
    password_set.send(User, request=request, user=world.user)
    assert sorted(Entry.objects.values_list("action", "subject")) == [
        ("added", "second step"), ("changed", "password"), ("changed", "recovery codes"), ("removed", "second step"),
    ]  # fmt: skip


def test_a_raters_flag_is_logged(world):
    world.flagged()
    entry = world.study.audit.get(action=Action.FLAGGED)
    assert (entry.actor, entry.details) == (world.rater.user.username, {"kind": "unsafe"})


def test_an_entry_that_cannot_be_written_undoes_its_change(world):
    with pytest.raises(DataError), recorded(study=world.study, user=None, action="much too long", subject="x"):
        world.study.tasks.all().update(priority=7)
    assert not world.study.tasks.filter(priority=7).exists()


@pytest.mark.parametrize("change", [
    "UPDATE annotate_entry SET actor = 'somebody else'", "UPDATE annotate_entry SET details = '{}'",
    "UPDATE annotate_entry SET user_id = NULL, subject = 'nothing'", "UPDATE annotate_entry SET study_id = NULL",
    "DELETE FROM annotate_entry",
])  # fmt: skip
def test_no_entry_is_changed_or_deleted(world, change):
    record(study=world.study, user=world.user, action=Action.CHANGED, subject="settings", fields=["name"])
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


def test_an_entry_outlives_the_account_and_goes_with_the_study(world):
    record(study=world.study, user=world.rater.user, action=Action.CHANGED, subject="settings")
    erase_member(member=world.rater)
    entry = world.study.audit.get()
    assert (entry.user, entry.actor) == (None, world.rater.pseudonym)
    erase_study(study=world.study)
    assert not Entry.objects.filter(subject="settings").exists()


@pytest.mark.parametrize(("query", "found"), [
    ("q=invitation", ["invitation"]), ("q=r7+de", ["tags"]), ("action=imported", ["prompts"]), ("q=nothing", []),
    ("q=%00", ["prompts", "tags", "invitation"]), ("action=evil", ["prompts", "tags", "invitation"]),
])  # fmt: skip
def test_it_is_searched_and_downloaded(client, world, query, found):
    for action, subject, details in (
        ("added", "invitation", {}), ("changed", "tags", {"member": "r7", "tags": ["de"]}),
        ("imported", "prompts", {"file": "=1+1"}),
    ):  # fmt: skip
        record(study=world.study, user=world.user, action=action, subject=subject, **details)
    record(study=StudyFactory(), user=world.user, action="imported", subject="of another study")
    client.force_login(world.user)
    page = client.get(reverse("audit", args=["shop"]) + f"?{query}")
    assert [entry.subject for entry in page.context["page"]] == found
    # The download comes first, as an entry of its own.
    file = b"".join(client.get(reverse("audit-file", args=["shop"]) + f"?{query}").streaming_content).decode()
    rows = [row for row in csv.DictReader(io.StringIO(file)) if row["subject"] != "log.csv"]
    assert [row["subject"] for row in rows] == found


def test_its_details_are_one_line_of_words(world):
    entry = Entry(details={"member": "r7", "tags": ["de", "<b>"], "n": 3})
    assert entry.described == "member: r7; tags: de, <b>; n: 3"


def test_an_account_sees_its_own_and_a_superuser_everything(client, world):
    record(study=world.study, user=world.rater.user, action=Action.CHANGED, subject="of the rater")
    record(study=None, user=UserFactory(), action=Action.CHANGED, subject="of a stranger")
    for user, subjects in ((world.rater.user, {"of the rater"}), (world.user, {"of the rater", "of a stranger"})):
        client.force_login(user)
        page = client.get(reverse("account-log"))
        assert {entry.subject for entry in page.context["page"]} - {"account"} == subjects
