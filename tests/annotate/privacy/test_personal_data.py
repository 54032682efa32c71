"""What is stored about a person is handed out whole, to the person or an administrator, and to nobody else."""

import json

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.apps import apps
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotate.api.tokens import make_token
from annotate.audit.operations import record
from annotate.collection.flags import flag
from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, correct, submit
from annotate.collection.leases import keep_draft, lease_next, skip
from annotate.members.erasure import erase_member
from annotate.models.accounts import User
from annotate.models.audit import Action, Entry
from annotate.models.choices import Purpose
from annotate.models.members import Membership
from annotate.privacy.personal_data import SECTIONS
from tests.factories import MembershipFactory, StudyFactory, TaskFactory, UserFactory
from training.models import ModelKind, ModelVersion, Run, RunKind

pytestmark = pytest.mark.django_db
SECRET = totp.generate_totp_secret()


@pytest.fixture
def study():
    study = StudyFactory(slug="shop", ask_rewrite=True, replication=9)
    TaskFactory.create_batch(5, study=study)
    return study


@pytest.fixture
def grace(study):
    """A rater who has left something everywhere."""
    rater = MembershipFactory(study=study, user__username="grace", tags=["navy"], declared_group="older")
    judged = submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[2, 1], comment="a", rewrite="My words."))
    correct(judgement=judged, answer=Answer(ranks=[2, 1], comment="an opinion", rewrite="My words."))
    skip(assignment=lease_next(rater=rater), reason="my reason")
    flag(assignment=lease_next(rater=rater), kind="private", details="my details")
    keep_draft(assignment=lease_next(rater=rater), fields={"comment": "my draft"})
    totp.TOTP.activate(rater.user, SECRET)
    make_token(user=rater.user, name="my token", scopes=["read"])
    record(study=study, user=rater.user, action=Action.CHANGED, subject="my act")
    Run.objects.create(study=study, kind=RunKind.PRETRAIN, created_by=rater.user)
    ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name="m", path="/m", promoted_by=rater.user)
    return rater


def downloaded(client, account=""):
    answer = client.get(reverse("personal-data"), {"account": account} if account else {})
    return json.loads(answer.getvalue())


def test_the_person_gets_all_of_it_and_nothing_of_others(client, study, grace):
    other = MembershipFactory(study=study, user__username="other")
    submit(assignment=lease_next(rater=other), answer=Answer(ranks=[1, 2], comment="not hers"))
    client.force_login(grace.user)
    asked = client.get(reverse("personal-data"))
    counter = next(totp.yield_hotp_counters_from_time())
    client.post(asked.url, {"code": totp.format_hotp_value(totp.hotp_value(SECRET, counter))})
    data = downloaded(client)
    assert data["account"]["username"] == "grace"
    (member,) = data["memberships"]
    assert (member["study_slug"], member["tags"], member["declared_group"]) == ("shop", ["navy"], "older")
    assert [row["comment"] for row in data["judgements"] if row["comment"]] == ["a", "an opinion"]
    assert {row["text"] for row in data["better_versions"]} == {"My words."}
    assert {"my reason", "flag: private: my details"} <= {row["skip_reason"] for row in data["assignments"]}
    assert [row["draft"] for row in data["assignments"] if row["draft"]] == [{"comment": "my draft"}]
    assert [row["details"] for row in data["flags"]] == ["my details"]
    assert [row["name"] for row in data["api_tokens"]] == ["my token"]
    assert [row["type"] for row in data["second_steps"]] == ["totp"]
    assert len(data["sessions"]) == len(data["runs_started"]) == len(data["models_promoted"]) == 1
    assert {"my act", "account", "personal data"} <= {row["subject"] for row in data["log_entries"]}
    assert "not hers" not in json.dumps(data)
    assert SECRET not in json.dumps(data)


def test_every_table_about_persons_is_in_it():
    """A new table with a person in it, and without a section, fails here."""
    persons = {
        model._meta.label
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.concrete and field.related_model in (User, Membership)
    }
    assert persons - {"annotate.User_groups", "annotate.User_user_permissions"} == {
        row.model for row in SECTIONS.values()
    }


def test_it_does_not_tell_checks_from_tasks(client, study):
    rater = MembershipFactory(study=study)
    set_known_answer(task=TaskFactory(study=study), purpose=Purpose.GOLD, ranks=[1, 2])
    for share in (1.0, 0.0):
        study.gold_share = share
        study.save()
        submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2]))
    client.force_login(rater.user)
    gold, plain = downloaded(client)["judgements"]
    numbers = ("id", "task", "task_prompt_external_id", "shown", "made_at")
    assert {**gold, **dict.fromkeys(numbers)} == {**plain, **dict.fromkeys(numbers)}


def test_an_administrator_gets_it_on_request_and_it_is_on_record(client, study, grace):
    boss = UserFactory(is_superuser=True, username="boss")
    client.force_login(boss)
    assert "Account of somebody who asks" in client.get(reverse("account")).content.decode()
    assert downloaded(client, "grace")["account"]["username"] == "grace"
    entry = study.audit.latest("pk")
    assert (entry.actor, entry.action, entry.details) == ("boss", "exported", {"member": grace.pseudonym})
    assert client.get(reverse("personal-data"), {"account": "nobody\0"}).status_code == 404


@pytest.mark.parametrize("role", ["owner", "manager", "auditor", "rater"])
def test_nobody_else_gets_it(client, study, grace, role):
    client.force_login(MembershipFactory(study=study, role=role).user)
    assert client.get(reverse("personal-data"), {"account": "grace"}).status_code == 404
    assert not Entry.objects.filter(subject="personal data").exists()


def test_the_password_is_asked_for_first(client, grace):
    grace.user.set_password("hopper-1906")
    grace.user.save()
    client.force_login(grace.user)
    assert client.get(reverse("personal-data")).url.startswith(reverse("account_reauthenticate"))


def test_the_command_writes_the_same(client, grace, tmp_path):
    call_command("export_personal_data", "grace", output=str(tmp_path / "grace.json"))
    data = json.loads((tmp_path / "grace.json").read_text())
    assert data["account"]["username"] == "grace"
    assert Entry.objects.latest("pk").actor == "command"
    with pytest.raises(CommandError, match="no such account"):
        call_command("export_personal_data", "nobody", output=str(tmp_path / "x.json"))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_after_erasing_nothing_leads_from_the_study_to_the_person(study, grace, elsewhere):
    if elsewhere:
        MembershipFactory(user=grace.user)
    user = grace.user.pk
    erase_member(member=grace)
    assert User.objects.filter(pk=user).exists() == elsewhere
    for section in SECTIONS.values():
        model = apps.get_model(section.model)
        rows = str(list(model.objects.values()))
        for words in ("grace", "navy", "older", "opinion", "my reason", "my details", "my draft"):
            assert words not in rows, (section.model, words)
        if any(field.name == "study" for field in model._meta.get_fields()):
            assert not model.objects.filter(**{section.owner: user}, study=study).exists(), section.model
