"""Who makes tokens, and who ends them."""

import re

import pytest
from django.urls import reverse

from annotate.api.tokens import make_token
from annotate.models.api import ApiToken
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
TOKEN = {"name": "nightly", "scopes": ["read"], "days": "3"}


@pytest.fixture
def ada():
    user = UserFactory(username="ada")
    user.set_password("lovelace-1843")
    user.save()
    return user


def test_making_one_asks_for_the_password_again(client, ada):
    client.force_login(ada)
    assert client.get(reverse("tokens")).status_code == 200
    asked = client.post(reverse("tokens"), TOKEN)
    assert asked.url.startswith(reverse("account_reauthenticate"))
    client.post(asked.url, {"password": "no"})
    assert not ApiToken.objects.exists()
    # The form that was sent is taken then; nobody fills it in twice.
    made = client.post(asked.url, {"password": "lovelace-1843"})
    assert re.search(r'value="palate_[^"]+"', made.content.decode())
    assert ApiToken.objects.get().user == ada
    assert "palate_" in client.post(reverse("tokens"), TOKEN).content.decode()


def test_ending_ones_own_asks_for_nothing(client, ada):
    token, _text = make_token(user=ada, name="n", scopes=["read"])
    client.force_login(ada)
    client.post(reverse("token-end", args=[token.pk]))
    assert not ApiToken.objects.exists()


def test_administrators_see_and_end_every_token(client, ada):
    token, text = make_token(user=ada, name="nightly <b>", scopes=["read"])
    client.force_login(UserFactory(is_superuser=True))
    assert reverse("all-tokens") in client.get(reverse("account")).content.decode()
    page = client.get(reverse("all-tokens")).content.decode()
    assert "ada" in page
    assert "nightly &lt;b&gt;" in page
    assert text not in page
    client.post(reverse("all-tokens-end", args=[token.pk]))
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("who", ["owner", "staff"])
def test_others_do_not_find_them(client, ada, who):
    token, _text = make_token(user=ada, name="n", scopes=["read"])
    client.force_login(MembershipFactory(role="owner").user if who == "owner" else UserFactory(is_staff=True))
    assert reverse("all-tokens") not in client.get(reverse("account")).content.decode()
    assert client.get(reverse("all-tokens")).status_code == 404
    assert client.post(reverse("all-tokens-end", args=[token.pk])).status_code == 404
    assert ApiToken.objects.exists()
