"""A link to a new password, for raters alone."""

import re

import pytest
from django.urls import reverse

from annotate.audit.models import Entry
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
    return MembershipFactory(study=study, user=user)


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
    assert page.status_code == 200
    assert "new_password1" not in page.content.decode()
