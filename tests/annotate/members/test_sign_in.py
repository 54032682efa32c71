"""Signing in: throttled, with a second step, through an organisation's provider; never by an open form."""

import time

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.urls import reverse

from annotate.models.accounts import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
PASSWORD = "lovelace-1843"


@pytest.fixture
def ada():
    user = UserFactory(username="ada")
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture(autouse=True)
def fresh():
    cache.clear()  # codes that were used


def sign_in(client, password=PASSWORD, **headers):
    return client.post(reverse("account_login"), {"login": "ada", "password": password}, **headers)


def signed_in(client):
    return client.get(reverse("studies")).status_code == 200


def test_guessing_stops_and_the_right_password_does_not_help_then(client, ada, settings):
    for _ in range(settings.SIGN_IN_FAILURES):
        assert "username and/or password" in sign_in(client, "no").content.decode()
    sign_in(client)
    assert not signed_in(client)


def test_one_address_that_guesses_many_names_is_stopped_too(client):
    answers = [
        client.post(reverse("account_login"), {"login": f"name{n}", "password": "no"}).content.decode()
        for n in range(21)
    ]
    assert "Too many attempts have failed" in answers[-1]


def code_for(secret):
    return totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))


def test_a_second_step_is_set_up_and_then_asked_for(client, ada):
    sign_in(client)
    page = client.get(reverse("mfa_activate_totp"), follow=True)
    if "password" in page.context["form"].fields:
        page = client.post(page.redirect_chain[-1][0], {"password": PASSWORD}, follow=True)
    secret = page.context["form"].secret
    assert "data:image/svg+xml" in page.content.decode()
    client.post(reverse("mfa_activate_totp"), {"code": code_for(secret)})
    assert Authenticator.objects.filter(user=ada, type="totp").exists()
    client.logout()
    cache.clear()
    assert sign_in(client).url.startswith(reverse("mfa_authenticate"))
    assert not signed_in(client)
    client.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert not signed_in(client)
    cache.clear()
    client.post(reverse("mfa_authenticate"), {"code": code_for(secret)})
    assert signed_in(client)


def test_the_code_that_set_up_the_second_step_is_used_up(client, ada):
    sign_in(client)
    asked = client.get(reverse("mfa_activate_totp"), follow=True).redirect_chain[-1][0]
    secret = client.post(asked, {"password": PASSWORD}, follow=True).context["form"].secret
    code = code_for(secret)
    client.post(reverse("mfa_activate_totp"), {"code": code})
    assert Authenticator.objects.filter(user=ada, type="totp").exists()
    client.logout()
    sign_in(client)
    client.post(reverse("mfa_authenticate"), {"code": code})
    assert not signed_in(client)


def test_recovery_codes_open_once(client, ada):
    sign_in(client)
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(ada, secret)
    code = RecoveryCodes.activate(ada).get_unused_codes()[0]
    for expected in (True, False):
        client.logout()
        cache.clear()
        sign_in(client)
        client.post(reverse("mfa_authenticate"), {"code": code})
        assert signed_in(client) == expected
    assert get_adapter().is_mfa_enabled(ada)


@pytest.mark.parametrize("name", ["account_signup", "socialaccount_signup"])
def test_nobody_makes_an_account_by_a_form(client, name):
    data = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "email": "eve@example.com"}
    client.get(reverse(name))
    client.post(reverse(name), data)
    assert not User.objects.filter(username="eve").exists()


def test_the_provider_is_offered_only_where_there_is_one(client, settings):
    assert "Sign in with" not in client.get(reverse("account_login")).content.decode()
    settings.OIDC_SERVER_URL, settings.OIDC_NAME = "https://id.example.com/", "Example"
    page = client.get(reverse("account_login")).content.decode()
    assert "Sign in with Example" in page
    assert reverse("openid_connect_login", args=["oidc"]) in page


def test_an_inactive_account_stays_out(client, ada):
    ada.is_active = False
    ada.save()
    sign_in(client)
    assert not signed_in(client)
