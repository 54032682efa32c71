"""Invitations by link, tags, standing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from annotate.members.operations import invite, join
from annotate.models.accounts import User
from annotate.models.choices import RaterStatus
from annotate.models.members import Invitation, Membership
from annotate.studies.operations import close_study
from core.errors import LimitReached, PalateError
from tests.factories import MembershipFactory, StudyFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory(slug="shop")


@pytest.fixture
def invitation(study):
    return invite(study=study, days=7, tags=["de"])


@pytest.fixture
def address(invitation):
    return reverse("join", args=[invitation.token])


@pytest.fixture
def manager(client, study):
    manager = MembershipFactory(study=study, role="owner")
    client.force_login(manager.user)
    return manager


def expire(invitation):
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


class TestJoin:
    def test_with_a_new_account(self, client, study, invitation, address):
        assert "invited to rate" in client.get(address).content.decode()
        page = client.post(address, {"username": "grace", "password": "hopper-1906"})
        assert page.url == reverse("rate", args=["shop"])
        member = study.memberships.get(user__username="grace")
        assert (member.role, member.tags) == ("rater", ["de"])
        assert client.get(page.url).status_code == 200
        invitation.refresh_from_db()
        assert invitation.joined == 1

    def test_with_the_account_that_is_signed_in(self, client, study, address):
        user = UserFactory(username="ada")
        client.force_login(user)
        assert "signed in as ada" in client.get(address).content.decode()
        client.post(address)
        client.post(address)
        assert study.memberships.filter(user=user).count() == 1

    def test_a_manager_who_follows_it_stays_one(self, client, manager, address):
        client.post(address)
        manager.refresh_from_db()
        assert (manager.role, manager.tags) == ("owner", [])

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"username": "ada", "password": "lovelace-1843"}, "The name ada is taken"),
            ({"username": "grace", "password": "123"}, "too short"),
            ({"username": "not a name", "password": "hopper-1906"}, "valid username"),
            ({"username": "", "password": ""}, "This field is required"),
        ],
    )
    def test_what_does_not_fit_is_said_and_changes_nothing(self, client, address, data, words):
        UserFactory(username="ada")
        page = client.post(address, data)
        assert page.status_code == 422
        assert words in page.content.decode()
        assert (User.objects.count(), Membership.objects.count()) == (1, 0)

    def test_not_when_it_has_ended(self, client, invitation, address):
        expire(invitation)
        page = client.post(address, {"username": "grace", "password": "hopper-1906"})
        assert page.status_code == 422
        assert "has expired" in page.content.decode()
        assert not User.objects.exists()

    def test_not_when_the_study_is_closed(self, client, study, address):
        close_study(study=study)
        assert client.post(address, {"username": "grace", "password": "hopper-1906"}).status_code == 422

    def test_not_for_somebody_who_was_taken_out(self, study, invitation):
        removed = MembershipFactory(study=study, active=False)
        with pytest.raises(PalateError, match="taken out of this study"):
            join(invitation=invitation, user=removed.user)

    def test_a_token_that_there_is_not_does_not_exist(self, client):
        assert client.get(reverse("join", args=["x" * 32])).status_code == 404


class TestLimits:
    def join(self, client, address, name):
        client.logout()
        return client.post(address, {"username": name, "password": "hopper-1906"})

    def test_only_so_many_join(self, client, study, manager):
        data = {"days": "3", "max_uses": "2", "hourly_uses": "9"}
        client.post(reverse("study-invite", args=["shop"]), data)
        assert (
            "0 of 2 joined, at most 9 within an hour"
            in client.get(reverse("study-members", args=["shop"])).content.decode()
        )
        address = reverse("join", args=[study.invitations.get().token])
        assert [self.join(client, address, f"grace{n}").status_code for n in range(4)] == [302, 302, 422, 422]
        assert study.memberships.filter(role="rater").count() == 2
        assert User.objects.filter(username__startswith="grace").count() == 2

    def test_only_so_many_join_within_an_hour(self, client, study):
        invitation = invite(study=study, days=3, hourly_uses=2)
        address = reverse("join", args=[invitation.token])
        answers = [self.join(client, address, f"grace{n}") for n in range(4)]
        assert [answer.status_code for answer in answers] == [302, 302, 429, 429]
        assert "Try again in 60 minutes" in answers[2].content.decode()
        assert 3500 < int(answers[2].headers["Retry-After"]) <= 3600
        assert User.objects.filter(username__startswith="grace").count() == 2
        user = UserFactory()
        with pytest.raises(LimitReached):
            join(invitation=invitation, user=user)
        Membership.objects.update(created_at=timezone.now() - timedelta(hours=1))
        assert join(invitation=invitation, user=user).invitation == invitation

    def test_who_takes_part_already_can_follow_a_link_that_is_full(self, study):
        invitation = invite(study=study, days=3, max_uses=1)
        member = join(invitation=invitation, user=UserFactory())
        assert join(invitation=invitation, user=member.user) == member

    def test_the_usual_limits(self, study):
        invitation = invite(study=study, days=3)
        assert (invitation.max_uses, invitation.hourly_uses) == (100, 30)

    @pytest.mark.parametrize("limits", [{"max_uses": 0}, {"hourly_uses": 0}, {"max_uses": 10_001}])
    def test_a_number_that_does_not_fit_is_refused(self, client, study, manager, limits):
        with pytest.raises(PalateError, match="From 1 to 10000"):
            invite(study=study, days=3, **limits)
        assert client.post(reverse("study-invite", args=["shop"]), {"days": "3", **limits}).status_code == 422
        assert not study.invitations.exists()

    def test_the_database_holds_the_limit(self, study):
        invitation = invite(study=study, days=3, max_uses=1)
        with pytest.raises(IntegrityError), transaction.atomic():
            Invitation.objects.filter(pk=invitation.pk).update(joined=2)


@pytest.mark.django_db(transaction=True)
def test_those_who_join_at_the_same_time_take_turns(study):
    invitation = invite(study=study, days=3, max_uses=5)
    users = UserFactory.create_batch(12)

    def one(user):
        try:
            join(invitation=invitation, user=user)
        except PalateError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, users)) == 5
    assert study.memberships.count() == 5


class TestInvite:
    def test_a_link_is_made_and_ended_on_the_page(self, client, study, manager):
        client.post(reverse("study-invite", args=["shop"]), {"days": "3", "tags": " de, medicine,de "})
        invitation = study.invitations.get()
        assert invitation.tags == ["de", "medicine"]
        page = client.get(reverse("study-members", args=["shop"])).content.decode()
        assert f"http://testserver/join/{invitation.token}/" in page
        client.post(reverse("invitation-withdraw", args=["shop", invitation.pk]))
        assert invitation.token not in client.get(reverse("study-members", args=["shop"])).content.decode()
        invitation.refresh_from_db()
        assert not invitation.valid

    @pytest.mark.parametrize("data", [{"days": "0"}, {"days": "366"}, {"days": ""}, {"days": "3", "tags": "x" * 51}])
    def test_what_does_not_fit_is_said(self, client, study, manager, data):
        assert client.post(reverse("study-invite", args=["shop"]), data).status_code == 422
        assert not study.invitations.exists()

    def test_of_another_study_does_not_exist(self, client, manager):
        foreign = invite(study=StudyFactory(), days=1)
        assert client.post(reverse("invitation-withdraw", args=["shop", foreign.pk])).status_code == 404


class TestMembers:
    def test_tags_are_saved(self, client, study, manager):
        member = MembershipFactory(study=study)
        address = reverse("study-member-tags", args=["shop", member.pk])
        client.post(address, {"tags": "fr, de"})
        member.refresh_from_db()
        assert member.tags == ["de", "fr"]
        page = client.post(address, {"tags": "x" * 51}, follow=True)
        assert "at most 50 characters" in page.content.decode()
        member.refresh_from_db()
        assert member.tags == ["de", "fr"]

    def test_a_stopped_rater_may_go_on(self, client, study, manager):
        member = MembershipFactory(study=study, status=RaterStatus.PAUSED, quiz_passed=False)
        client.post(reverse("study-member-reinstate", args=["shop", member.pk]))
        member.refresh_from_db()
        assert (member.status, member.quiz_passed, member.blocked) == (RaterStatus.GOOD, True, False)
