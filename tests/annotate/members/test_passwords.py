"""A link to a new password, for raters alone."""

import re

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotate.api.tokens import make_token
from annotate.members.operations import add_member, invite, join, join_with_new_account
from annotate.models.accounts import User
from annotate.models.api import ApiToken
from annotate.models.audit import Entry
from tests.factories import MembershipFactory, StudyFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(client):
    study = StudyFactory(slug="shop")
    client.force_login(MembershipFactory(study=study, role="manager").user)
    return study


def rater_of(study, **fields):
    user = UserFactory(**fields)
    user.set_password("lovelace-1843")
    user.save()
    return MembershipFactory(study=study, user=user, made_account=True)


def asked(client, member):
    return client.post(reverse("study-member-password", args=[member.study.slug, member.pk]), follow=True)


def link_in(page):
    return re.search(r'value="http://testserver(/password/[^"]+)"', page.content.decode())[1]


def test_a_rater_chooses_another_password_once(client, study):
    member = rater_of(study, username="ada")
    link = link_in(asked(client, member))
    entry = Entry.objects.latest("pk")
    assert (entry.subject, entry.details) == ("password link", {"member": member.pseudonym})
    client.logout()
    form = client.get(link, follow=True)
    there = form.redirect_chain[-1][0]
    # The address of the form, which a browser might tell to others, does not hold the secret.
    assert link.split("/")[3] not in there
    weak = client.post(there, {"new_password1": "123", "new_password2": "123"})
    assert "too short" in weak.content.decode()
    done = client.post(there, {"new_password1": "babbage-1837", "new_password2": "babbage-1837"})
    assert done.url == reverse("account_login")
    assert client.get(reverse("studies")).status_code == 302
    assert client.login(username="ada", password="babbage-1837")
    client.logout()
    assert "was used already" in client.get(link, follow=True).content.decode()


def test_it_ends_with_a_sign_in_and_after_a_day(client, study, settings):
    member = rater_of(study, username="ada")
    link = link_in(asked(client, member))
    client.login(username="ada", password="lovelace-1843")
    assert "was used already" in client.get(link, follow=True).content.decode()
    client.force_login(study.memberships.get(role="manager").user)
    link = link_in(asked(client, member))
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "was used already" in client.get(link, follow=True).content.decode()


@pytest.mark.parametrize("more", ["another study", "left study", "manager", "superuser", "staff", "provider"])
def test_who_is_more_than_a_rater_of_the_managers_studies_gets_none(client, study, more):
    member = rater_of(study, is_superuser=more == "superuser", is_staff=more == "staff")
    if more == "another study":
        MembershipFactory(user=member.user)
    elif more == "left study":
        MembershipFactory(user=member.user, active=False, role="owner")
    elif more == "manager":
        member.role = "manager"
        member.save()
    elif more == "provider":
        member.user.set_unusable_password()
        member.user.save()
    page = asked(client, member).content.decode()
    assert "/password/" not in page.replace(f"/members/{member.pk}/password/", "")
    assert ("does not sign in with a password" if more == "provider" else "changepassword") in page
    assert not Entry.objects.filter(subject="password link").exists()


def test_two_studies_of_the_same_manager_are_no_hindrance(client, study):
    member = rater_of(study)
    other = StudyFactory()
    MembershipFactory(study=other, user=study.memberships.get(role="manager").user, role="owner")
    MembershipFactory(study=other, user=member.user)
    assert link_in(asked(client, member))


@pytest.mark.parametrize("link", ["/password/MQ/set-password/", "/password/%00/x/", "/password/xyz/1-abc/"])
def test_a_made_up_link_opens_nothing(client, link):
    page = client.get(link)
    assert page.status_code in (200, 400)
    assert "new_password1" not in page.content.decode()


def promote(member, how):
    if how == "manager":
        add_member(study=member.study, username=member.user.username, role="manager")
    elif how == "another study":
        MembershipFactory(user=member.user)
    else:
        User.objects.filter(pk=member.user.pk).update(**{how: True})


@pytest.mark.parametrize("how", ["manager", "another study", "is_superuser", "is_staff"])
@pytest.mark.parametrize("opened", [False, True])
def test_it_ends_when_the_account_gains_a_role(client, study, how, opened):
    member = rater_of(study, username="ada")
    link = link_in(asked(client, member))
    client.logout()
    there = link
    if opened:
        there = client.get(link, follow=True).redirect_chain[-1][0]
    promote(member, how)
    page = client.post(there, {"new_password1": "babbage-1837", "new_password2": "babbage-1837"}, follow=True)
    assert "was used already" in page.content.decode()
    member.user.refresh_from_db()
    assert member.user.check_password("lovelace-1843")


def test_only_of_an_account_that_was_made_for_the_study(client, study):
    invitation = invite(study=study, days=1)
    made = join_with_new_account(invitation=invitation, username="made", password="lovelace-1843")
    old = User.objects.create_user("old", password="lovelace-1843")
    joined = join(invitation=invitation, user=old)
    added = add_member(study=study, username="new", role="rater", password="lovelace-1843")
    known = add_member(study=study, username=User.objects.create_user("k", password="x1").username, role="rater")
    assert link_in(asked(client, made.memberships.get()))
    assert link_in(asked(client, added))
    for member in (joined, known):
        page = asked(client, member).content.decode()
        assert "had the account before this study" in page
        assert "http://testserver/password/" not in page


@pytest.mark.parametrize("how", ["page", "command", "link"])
def test_tokens_end_with_the_password(client, study, how, monkeypatch):
    member, other = rater_of(study, username="ada"), rater_of(study)
    for user in (member.user, other.user):
        make_token(user=user, name="n", scopes=["read"])
    if how == "link":
        there = client.get(link_in(asked(client, member)), follow=True).redirect_chain[-1][0]
        client.post(there, {"new_password1": "babbage-1837", "new_password2": "babbage-1837"})
    elif how == "page":
        client.force_login(member.user)
        fields = {"oldpassword": "lovelace-1843", "password1": "babbage-1837", "password2": "babbage-1837"}
        client.post(reverse("account_change_password"), fields)
    else:
        monkeypatch.setattr("getpass.getpass", lambda **_: "babbage-1837")
        call_command("changepassword", "ada")
    member.user.refresh_from_db()
    assert member.user.check_password("babbage-1837")
    assert [token.user for token in ApiToken.objects.all()] == [other.user]


def test_a_sign_in_that_renews_the_hash_of_a_password_ends_no_token(client, study, settings):
    member = rater_of(study, username="ada")
    make_token(user=member.user, name="n", scopes=["read"])
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]
    assert client.login(username="ada", password="lovelace-1843")
    member.user.refresh_from_db()
    assert member.user.password.startswith("md5$")
    assert ApiToken.objects.exists()
