"""Signing in and out, and the list of studies."""

import pytest
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.members import queries
from annotate.models.choices import Role
from tests.factories import MembershipFactory, StudyFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db


class TestSignIn:
    def test_leads_to_the_studies_and_out_again(self, client):
        user = UserFactory(username="ada")
        user.set_password("lovelace-1843")
        user.save()
        page = client.post(reverse("account_login"), {"login": "ada", "password": "lovelace-1843"})
        assert page.url == reverse("studies")
        assert client.get(reverse("studies")).status_code == 200
        assert client.post(reverse("account_logout")).url == reverse("account_login")
        assert client.get(reverse("studies")).status_code == 302

    def test_a_wrong_password_is_said(self, client):
        page = client.post(reverse("account_login"), {"login": "ada", "password": "no"})
        assert page.status_code == 200
        assert 'role="alert"' in page.content.decode()

    def test_never_leads_to_a_foreign_site(self, client):
        user = UserFactory(username="ada")
        user.set_password("lovelace-1843")
        user.save()
        data = {"login": "ada", "password": "lovelace-1843", "next": "https://evil.example/"}
        assert client.post(reverse("account_login"), data).url == reverse("studies")

    def test_signing_out_needs_a_post(self, client):
        client.force_login(UserFactory())
        client.get(reverse("account_logout"))
        assert client.get(reverse("studies")).status_code == 200


class TestStudies:
    def test_anonymous_is_sent_to_sign_in(self, client):
        assert client.get(reverse("studies")).url.startswith(reverse("account_login"))

    def test_lists_own_active_studies_only(self, client):
        mine, left, foreign = (StudyFactory(name=name) for name in ("Mine", "Left", "Foreign"))
        member = MembershipFactory(study=mine)
        MembershipFactory(study=left, user=member.user, active=False)
        client.force_login(member.user)
        text = client.get(reverse("studies")).content.decode()
        assert "Mine" in text
        assert "Left" not in text
        assert foreign.name not in text

    def test_a_user_without_studies_is_told_what_to_do(self, client):
        client.force_login(UserFactory())
        assert "You are in no study yet" in client.get(reverse("studies")).content.decode()

    def test_rate_is_offered_while_something_is_open(self, client):
        member = MembershipFactory(role=Role.OWNER)
        client.force_login(member.user)
        address = reverse("rate", args=[member.study.slug])
        assert address not in client.get(reverse("studies")).content.decode()
        TaskFactory(study=member.study)
        assert address in client.get(reverse("studies")).content.decode()


class TestProgress:
    def test_counts_own_judgements_open_tasks_and_the_task_in_hand(self):
        rater = MembershipFactory()
        TaskFactory.create_batch(3, study=rater.study)
        TaskFactory()
        assert queries.progress_of(rater) == queries.Progress(judged=0, open=3)
        assignment = lease_next(rater=rater)
        assert queries.progress_of(rater).open == 3
        submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
        assert queries.progress_of(rater) == queries.Progress(judged=1, open=2, today=1)

    def test_counting_stops_at_many(self, monkeypatch):
        monkeypatch.setattr(queries, "MANY", 2)
        rater = MembershipFactory()
        TaskFactory.create_batch(4, study=rater.study)
        assert queries.progress_of(rater).open == 3
        assert queries.progress_of(rater).many_open
