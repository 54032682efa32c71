"""The operators' site: superusers look at everything and block accounts; for others it is not there."""

import re

import pytest
from django.contrib import admin
from django.urls import reverse

from annotate.api.tokens import make_token
from annotate.models.audit import Entry
from core.read_only_admin import ReadOnlyAdmin
from tests.factories import MembershipFactory, StudyFactory, UserFactory
from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db
ADDRESSES = [
    reverse("admin:index"),
    *(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry),
]


@pytest.fixture
def operator(client):
    client.force_login(UserFactory(username="operator", is_superuser=True))
    return client


@pytest.fixture
def rows():
    study = StudyFactory(slug="shop")
    member = MembershipFactory(study=study, user__username="rater")
    token, _secret = make_token(user=member.user, name="program", scopes=["read"])
    Run.objects.create(study=study, kind="pretrain")
    version = ModelVersion.objects.create(study=study, kind="policy", name="writer", path="/m", card="# a card")
    return {"study": study, "user": member.user, "token": token, "version": version}


@pytest.mark.parametrize("address", ADDRESSES)
def test_it_lists_what_there_is(operator, rows, address):
    assert operator.get(address).status_code == 200


def test_pages_that_other_apps_bring_are_not_on_it():
    """They show secrets of second steps and change accounts without an entry in the log."""
    assert {type(page).__mro__[1] for page in admin.site._registry.values()} == {ReadOnlyAdmin}


def test_passwords_and_sign_out_have_one_door(operator):
    assert operator.get(reverse("admin:password_change")).url == reverse("account_change_password")
    assert operator.post(reverse("admin:logout")).url == reverse("account_logout")


@pytest.mark.parametrize("address", [*ADDRESSES, reverse("admin:login")])
def test_others_do_not_find_it(client, rows, address):
    assert client.get(address).status_code in (302, 404)
    for user in (rows["user"], UserFactory(is_staff=True)):
        client.force_login(user)
        assert client.get(address).status_code == 404
        assert client.post(address).status_code == 404


def test_an_account_is_blocked_and_the_log_says_who_did_it(operator, rows):
    user = rows["user"]
    answer = operator.post(reverse("admin:annotate_user_change", args=[user.pk]), {"username": "changed"})
    assert answer.status_code == 302
    user.refresh_from_db()
    assert (user.username, user.is_active) == ("rater", False)
    entry = Entry.objects.latest("pk")
    assert (entry.actor, entry.subject, entry.details) == ("operator", "account", {"account": "rater", "active": False})


def test_operators_do_not_block_themselves(operator):
    own = operator.get(reverse("admin:index")).wsgi_request.user
    operator.post(reverse("admin:annotate_user_change", args=[own.pk]), {})
    own.refresh_from_db()
    assert own.is_active


@pytest.mark.parametrize("name", ["study", "token", "version"])
def test_everything_else_is_only_looked_at(operator, rows, name):
    row = rows[name]
    label = f"{row._meta.app_label}_{row._meta.model_name}"
    page = operator.get(reverse(f"admin:{label}_change", args=[row.pk])).content.decode()
    assert "_save" not in page
    if name == "token":
        assert row.digest not in page
    assert operator.post(reverse(f"admin:{label}_change", args=[row.pk]), {"name": "changed"}).status_code == 403
    assert operator.get(reverse(f"admin:{label}_delete", args=[row.pk])).status_code == 403
    assert operator.get(reverse(f"admin:{label}_add")).status_code == 403


def test_the_api_is_described_on_a_page_that_runs_nothing_inline(client):
    page = client.get(reverse("api-docs"))
    assert page.status_code == 200
    assert not re.search(r"<script>|<style|style=", page.content.decode())
    assert "unsafe" not in page["Content-Security-Policy"]
    script = client.get(reverse("api-docs") + "?script=")
    assert script["Content-Type"].startswith("application/javascript")
