"""Guessing gets slower and slower, and keeps nobody out who has signed in before."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from annotate.api.tokens import make_token
from annotate.members.passwords import password_links
from annotate.models.audit import Entry
from annotate.models.sign_in import FailureCounter
from annotate.sign_in import counters
from annotate.sign_in.counters import MustWait, account_key, count, network_of, take_back
from annotate.sign_in.devices import cookie_name
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
PASSWORD = "lovelace-1843"


@pytest.fixture(autouse=True)
def few(settings):
    settings.SIGN_IN_FAILURES, settings.SIGN_IN_NETWORK_FAILURES, settings.SIGN_IN_MAX_WAIT = 3, 6, 900


@pytest.fixture
def ada():
    user = UserFactory(username="ada")
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(client, password=PASSWORD, name="ada", address="192.0.2.7"):
    return client.post(reverse("account_login"), {"login": name, "password": password}, REMOTE_ADDR=address)


def signed_in(client):
    return client.get(reverse("studies")).status_code == 200


def guess(times, name="ada", network="198.51.100"):
    """Guess from a browser that nobody knows; returns the last answer."""
    for n in range(times):
        answer = sign_in(Client(), "no", name, f"{network}.{n + 1}")
    return answer


def later(**ago):
    """As if the failures so far had happened that long ago."""
    for row in FailureCounter.objects.all():
        row.failed_at -= timedelta(**ago)
        row.blocked_until = row.blocked_until and row.blocked_until - timedelta(**ago)
        row.save()


def waits(failures):
    """The wait in seconds after each of so many failures."""
    seconds = []
    for _ in range(failures):
        count([account_key("ada")])
        row = FailureCounter.objects.get()
        seconds.append((row.blocked_until - row.failed_at).total_seconds() if row.blocked_until else 0)
        FailureCounter.objects.update(blocked_until=None)  # the wait is over
    return seconds


def test_each_failure_doubles_the_wait_up_to_a_longest():
    assert waits(9) == [0, 0, 30, 60, 120, 240, 480, 900, 900]


def test_failures_decay():
    for _ in range(3):
        count([account_key("ada")])
    later(hours=1)
    for _ in range(2):  # 3 became 1: the third is the first that waits
        count([account_key("ada")])
    with pytest.raises(MustWait):
        count([account_key("ada")])


def test_a_page_says_how_long_to_wait(ada):
    guess(3)
    answer = guess(1)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "30"
    assert "Try again in 30 seconds" in answer.content.decode()


def test_the_right_password_from_a_stranger_waits_too(client, ada):
    guess(3)
    assert sign_in(client).status_code == 429
    assert not signed_in(client)


@pytest.mark.parametrize("name", ["ada", "ADA ", "nobody"])
def test_whether_there_is_an_account_is_not_told(ada, name):
    answers = [guess(1, name).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_a_browser_that_signed_in_before_is_counted_apart(client, ada):
    sign_in(client)
    client.post(reverse("account_logout"))
    guess(20)
    assert sign_in(client, address="198.51.100.9").status_code == 302
    assert signed_in(client)


def test_a_known_browser_that_guesses_waits_too(client, ada):
    sign_in(client)
    client.post(reverse("account_logout"))
    assert [sign_in(client, "no").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert sign_in(client).status_code == 429


def test_the_cookie_of_one_account_is_nothing_to_another(client, ada):
    bob = UserFactory(username="bob")
    bob.set_password(PASSWORD)
    bob.save()
    sign_in(client, name="bob")
    client.post(reverse("account_logout"))
    (cookie,) = [value for name, value in client.cookies.items() if name.startswith("known-device-")]
    client.cookies[cookie_name(ada)] = cookie.value
    guess(3)
    assert sign_in(client).status_code == 429


@pytest.mark.parametrize("value", ["", "x", "x:y:z", "\x00", "W10:1:1"])
def test_a_made_up_cookie_is_passed_over(client, ada, value):
    client.cookies[cookie_name(ada)] = value
    guess(3)
    assert sign_in(client).status_code == 429


def test_the_cookie_is_closed_to_scripts_and_goes_to_this_site_only(client, ada):
    sign_in(client)
    (cookie,) = [value for name, value in client.cookies.items() if name.startswith("known-device-")]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_a_network_that_guesses_many_names_waits_and_others_do_not(ada):
    for n in range(6):
        guess(1, f"name{n}", "198.51.100")
    assert guess(1, "another", "198.51.100").status_code == 429
    assert sign_in(Client(), address="203.0.113.5").status_code == 302


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.200", "192.0.2.0/24"),
        ("::ffff:192.0.2.200", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_networks(address, network):
    assert network_of(address) == network


def test_guesses_under_many_names_do_not_flush_a_counter(ada):
    guess(3)
    for n in range(400):
        count([account_key(f"name{n}")])
    assert guess(1).status_code == 429


def test_the_table_has_an_end_and_holds_no_name_and_no_address(monkeypatch, ada):
    monkeypatch.setattr(counters, "BUCKETS", 8)
    for n in range(100):
        with_name = account_key(f"name{n}")
        assert with_name.bucket < 8
    guess(2)
    assert "ada" not in str(list(FailureCounter.objects.values()))
    assert "198.51" not in str(list(FailureCounter.objects.values()))


def test_a_success_takes_its_own_attempt_back_and_no_other_wait():
    first = count([account_key("ada")])
    second = count([account_key("ada")])
    third = count([account_key("ada")])  # the wait begins
    take_back(second)
    with pytest.raises(MustWait):
        count([account_key("ada")])
    take_back(third)
    take_back(first)
    assert FailureCounter.objects.get().failures == 0
    count([account_key("ada")])


def test_a_code_is_counted_and_the_owner_gets_in(client, ada):
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(ada, secret)
    recovery = RecoveryCodes.activate(ada).get_unused_codes()[0]
    stranger = Client()
    sign_in(stranger, address="203.0.113.1")
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    for n in range(3):
        answer = stranger.post(reverse("mfa_authenticate"), {"code": "000000"}, REMOTE_ADDR=f"203.0.113.{n}")
        assert answer.status_code == 200
    for given in (code, recovery):
        answer = stranger.post(reverse("mfa_authenticate"), {"code": given})
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
    FailureCounter.objects.all().delete()
    sign_in(client)
    client.post(reverse("mfa_authenticate"), {"code": code})
    assert signed_in(client)
    client.post(reverse("account_logout"))
    sign_in(stranger, address="203.0.113.1")
    for _ in range(5):
        stranger.post(reverse("mfa_authenticate"), {"code": "000000"})
    sign_in(client)
    client.post(reverse("mfa_authenticate"), {"code": recovery})
    assert signed_in(client)


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        ("account_reauthenticate", {"password": "no"}),
        ("account_change_password", {"oldpassword": "no", "password1": "babbage-1837", "password2": "babbage-1837"}),
    ],
)
def test_a_password_that_is_asked_for_again_is_counted(client, ada, address, fields):
    sign_in(client)
    answers = [client.post(reverse(address), fields) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert "Too many attempts have failed" in answers[-1].content.decode()
    right = {name: PASSWORD if value == "no" else value for name, value in fields.items()}
    assert client.post(reverse(address), right).status_code == 429


def test_a_code_that_is_asked_for_again_is_counted(client, ada):
    sign_in(client)
    totp.TOTP.activate(ada, totp.generate_totp_secret())
    answers = [client.post(reverse("mfa_reauthenticate"), {"code": "000000"}).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_unknown_tokens_are_counted_by_network_and_a_good_one_is_always_taken(client, ada):
    _row, good = make_token(user=ada, name="n", scopes=["read"])

    def call(token, address):
        return client.get(reverse("api-studies"), headers={"Authorization": f"Bearer {token}"}, REMOTE_ADDR=address)

    assert [call("palate_no", f"198.51.100.{n}").status_code for n in range(7)] == [401] * 6 + [429]
    assert int(call("palate_no", "198.51.100.77").headers["Retry-After"]) > 0
    assert call("palate_no", "203.0.113.1").status_code == 401
    assert call(good, "198.51.100.77").status_code == 200
    # An office with a forgotten script can still sign in.
    assert sign_in(Client(), address="198.51.100.5").status_code == 302


def test_the_command_lets_the_owner_in_at_once(client, ada):
    guess(3)
    guess(1, "eve")
    out = StringIO()
    call_command("reset_sign_in", "ada", stdout=out)
    assert out.getvalue() == "counters cleared: 1\n"
    entry = Entry.objects.get(subject="failed sign-ins")
    assert (entry.study, entry.actor, entry.action, entry.details) == (None, "command", "removed", {"of": "ada"})
    assert sign_in(client).status_code == 302
    with pytest.raises(CommandError, match="no such account"):
        call_command("reset_sign_in", "nobody")


def test_whoever_chose_a_password_by_a_link_is_not_kept_out(client, ada):
    guess(3)
    link = [urlsafe_base64_encode(force_bytes(ada.pk)), password_links.make_token(ada)]
    there = client.get(reverse("password-new", args=link), follow=True).redirect_chain[-1][0]
    client.post(there, {"new_password1": "babbage-1837", "new_password2": "babbage-1837"})
    assert sign_in(client, "babbage-1837").status_code == 302


def test_retention_deletes_what_has_decayed(ada):
    guess(3)
    later(hours=23)
    call_command("apply_retention")
    assert FailureCounter.objects.exists()
    later(hours=2)
    call_command("apply_retention")
    assert not FailureCounter.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_time_all_count():
    def one(_):
        try:
            count([account_key("ada")])
        except MustWait:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(one, range(16)))
    assert taken == 3
