"""Sessions: seen, ended, and ended by themselves; answers that nobody keeps."""

import time

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from annotate.api.tokens import make_token
from tests.factories import MembershipFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return UserFactory(username="ada")


def browser(user, name):
    client = Client(headers={"User-Agent": name})
    client.force_login(user)
    client.get(reverse("account"))
    return client


def inside(client):
    return client.get(reverse("account")).status_code == 200


def test_ones_sessions_are_listed_and_nobody_elses(ada):
    here, _there, _bobs = browser(ada, "Here/1"), browser(ada, "There/1 <b>"), browser(UserFactory(), "Bob/1")
    page = here.get(reverse("sessions")).content.decode()
    assert page.index("Here/1") < page.index("There/1 &lt;b&gt;")
    assert "Bob/1" not in page
    assert "127.0.0.1" in page


def test_each_other_one_can_be_ended(ada):
    here, there, third = (browser(ada, name) for name in ("here", "there", "third"))
    here.post(reverse("session-end", args=[UserSession.objects.get(user_agent="there").pk]))
    assert [inside(client) for client in (here, there, third)] == [True, False, True]


def test_all_others_can_be_ended_at_once(ada):
    here, there, third, bobs = (browser(user, "x") for user in (ada, ada, ada, UserFactory()))
    page = here.post(reverse("sessions-end-others"), follow=True).content.decode()
    assert "Signed out of 2 other sessions" in page
    assert [inside(client) for client in (here, there, third, bobs)] == [True, False, False, True]


def test_nobody_ends_anothers_session(ada):
    here, bobs = browser(ada, "here"), browser(UserFactory(), "bobs")
    assert here.post(reverse("session-end", args=[UserSession.objects.get(user_agent="bobs").pk])).status_code == 404
    assert inside(bobs)


def idle(client, minutes):
    session = client.session
    session["seen_at"] = int(time.time()) - minutes * 60 - 1
    session.save()


@pytest.mark.parametrize(("limit", "minutes", "stays"), [(30, 29, True), (30, 30, False), (0, 99_999, True)])
def test_an_idle_session_ends(ada, settings, limit, minutes, stays):
    settings.SESSION_IDLE_MINUTES = limit
    client = browser(ada, "x")
    idle(client, minutes)
    assert inside(client) == stays
    assert inside(client) == stays


def test_activity_keeps_a_session_and_is_noted_once_a_minute(ada, settings, django_assert_max_num_queries):
    settings.SESSION_IDLE_MINUTES = 30
    client = browser(ada, "x")
    for _ in range(4):
        idle(client, 20)
        assert inside(client)
    before = UserSession.objects.get().last_seen_at
    assert inside(client)
    assert UserSession.objects.get().last_seen_at == before


def test_a_page_that_renews_itself_keeps_no_session(ada, settings):
    settings.SESSION_IDLE_MINUTES = 30
    client = browser(ada, "x")
    idle(client, 29)
    assert client.get(reverse("account"), headers={"X-Refresh": "1"}).status_code == 200
    idle_since = client.session["seen_at"]
    assert idle_since < time.time() - 29 * 60
    idle(client, 31)
    assert client.get(reverse("account"), headers={"X-Refresh": "1"}).status_code == 302


def test_sessions_that_ended_are_forgotten(ada):
    browser(ada, "x")
    browser(ada, "y")
    Session.objects.filter(pk=UserSession.objects.get(user_agent="x").session_key).delete()
    call_command("apply_retention")
    assert [session.user_agent for session in UserSession.objects.all()] == ["y"]


def test_neither_browsers_nor_proxies_keep_what_is_private(client):
    owner = MembershipFactory(role="owner", study__slug="shop", user__is_superuser=True)
    TaskFactory(study=owner.study)
    _row, text = make_token(user=owner.user, name="n", scopes=["read", "export"])
    with_token = {"Authorization": f"Bearer {text}"}
    api = [reverse("api-study", args=["shop"]), reverse("api-export", args=["shop", "pairs", "csv"])]
    answers = [Client().get(url, headers=with_token) for url in api]
    answers += [Client().get(reverse("account_login")), Client().get(reverse("join", args=["x"]))]
    client.force_login(owner.user)
    pages = [reverse("export", args=["shop", "pairs", "csv"]), *api]
    pages += [reverse(name) for name in ("studies", "tokens", "sessions", "all-tokens", "account", "mfa_index")]
    pages += [reverse(name, args=["shop"]) for name in ("study-members", "rate", "history", "audit")]
    answers += [client.get(url) for url in pages]
    answers.append(client.post(reverse("tokens"), {"name": "n", "scopes": ["read"], "days": "3"}))
    assert "palate_" in answers[-1].content.decode()
    for answer in answers:
        assert "no-store" in answer.headers["Cache-Control"], answer.request["PATH_INFO"]
