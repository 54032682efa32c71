"""A second step that a role needs."""

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from annotate.api.tokens import make_token
from palate.production import check_roles
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def required(settings):
    settings.REQUIRE_SECOND_STEP = ["superuser", "owner", "manager"]


def account(who):
    if who == "superuser":
        return UserFactory(is_superuser=True)
    if who == "removed owner":
        return MembershipFactory(role="owner", active=False).user
    return MembershipFactory(role=who).user


@pytest.mark.parametrize("who", ["superuser", "owner", "manager"])
def test_who_must_have_one_can_only_set_it_up(client, who):
    user = account(who)
    client.force_login(user)
    for name in ("studies", "account", "tokens", "sessions", "mfa_index"):
        assert client.get(reverse(name)).url == reverse("mfa_activate_totp"), name
    page = client.get(reverse("studies"), follow=True)
    assert page.status_code == 200
    assert "Your role needs a second step" in page.content.decode()
    assert client.get(reverse("api-studies")).status_code == 403
    totp.TOTP.activate(user, totp.generate_totp_secret())
    assert client.get(reverse("studies")).status_code == 200
    assert client.get(reverse("api-studies")).status_code == 200


def test_signing_out_stays_possible(client):
    client.force_login(account("owner"))
    client.post(reverse("account_logout"))
    assert client.get(reverse("studies")).url.startswith(reverse("account_login"))


def test_with_a_password_the_whole_way_can_be_walked(client):
    user = account("owner")
    user.set_password("lovelace-1843")
    user.save()
    client.force_login(user)
    page = client.get(reverse("studies"), follow=True)
    assert page.redirect_chain[-1][0].startswith(reverse("account_reauthenticate"))
    page = client.post(page.redirect_chain[-1][0], {"password": "lovelace-1843"}, follow=True)
    secret = page.context["form"].secret
    counter = next(totp.yield_hotp_counters_from_time())
    code = totp.format_hotp_value(totp.hotp_value(secret, counter))
    client.post(reverse("mfa_activate_totp"), {"code": code})
    assert client.get(reverse("studies")).status_code == 200


@pytest.mark.parametrize("who", ["rater", "auditor", "removed owner"])
def test_others_are_left_alone(client, who):
    client.force_login(account(who))
    assert client.get(reverse("studies")).status_code == 200


def test_a_token_is_refused_until_its_account_has_one(client):
    user = account("owner")
    _row, text = make_token(user=user, name="n", scopes=["read"])
    headers = {"Authorization": f"Bearer {text}"}
    answer = client.get(reverse("api-studies"), headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "This account must set up a second step at sign-in first.",
    )
    totp.TOTP.activate(user, totp.generate_totp_secret())
    assert client.get(reverse("api-studies"), headers=headers).status_code == 200


def test_a_word_that_is_no_role_does_not_start():
    assert check_roles(["owner", " manager"]) == ["owner", "manager"]
    with pytest.raises(ImproperlyConfigured, match="'boss' is no role"):
        check_roles(["owner", "boss"])
