"""Erasure, consent, personal data in responses, retention."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from annotate.collection.flags import resolve
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import create_tasks, lease_next
from annotate.collection.personal_data import kinds_of_personal_data
from annotate.exchange.exporters.exports import raw_rows
from annotate.members.erasure import erase_member
from annotate.models.accounts import User
from annotate.models.api import IdempotencyKey
from annotate.models.audit import Entry
from annotate.models.judgements import Judgement
from annotate.models.review import Flag
from annotate.studies.operations import change_study, close_study
from core.errors import PalateError
from tests.factories import MembershipFactory, PromptFactory, ResponseFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


class TestErasure:
    @pytest.fixture
    def rater(self):
        rater = MembershipFactory(study__slug="shop", user__username="grace.hopper", tags=["navy"])
        TaskFactory(study=rater.study)
        submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2], comment="I am Grace", seconds=3))
        return rater

    def test_what_was_judged_stays_and_who_judged_it_does_not(self, rater):
        before = list(raw_rows(rater.study))
        erase_member(member=rater)
        after = list(raw_rows(rater.study))
        blank = [[None if cell in ("I am Grace", "", "person", "erased") else cell for cell in row] for row in before]
        assert blank == [[None if cell in ("", "person", "erased") else cell for cell in row] for row in after]
        assert not User.objects.filter(username="grace.hopper").exists()
        stored = json.dumps([list(Judgement.objects.values()), list(rater.study.memberships.values())], default=str)
        assert "Grace" not in stored
        assert "grace" not in stored
        assert "navy" not in stored

    def test_an_account_that_is_needed_elsewhere_stays(self, rater):
        MembershipFactory(user=rater.user)
        erase_member(member=rater)
        assert User.objects.filter(username="grace.hopper").exists()

    def test_the_owner_is_not_erased(self):
        with pytest.raises(PalateError):
            erase_member(member=MembershipFactory(role="owner"))

    def test_comments_stay_append_only_otherwise(self, rater):
        with pytest.raises(DatabaseError), transaction.atomic():
            Judgement.objects.update(comment="")

    def test_the_page_asks_once_more_and_it_is_on_record(self, client, rater):
        client.force_login(MembershipFactory(study=rater.study, role="manager").user)
        url = reverse("study-member-erase", args=["shop", rater.pk])
        assert "no way back" in client.get(url).content.decode()
        client.post(url)
        rater.refresh_from_db()
        assert (rater.user, rater.kind, rater.active) == (None, "erased", False)
        assert Entry.objects.exclude(study=None).get().action == "erased"


def test_raters_agree_before_they_judge_and_again_after_a_change(client):
    rater = MembershipFactory(study__slug="shop")
    TaskFactory(study=rater.study)
    client.force_login(rater.user)
    rate, read = reverse("rate", args=["shop"]), reverse("instructions", args=["shop"])
    assert client.get(rate).status_code == 200
    for number, text in enumerate(("We keep your answers.", "We keep them for a year."), start=1):
        change_study(study=rater.study, consent=text)
        assert client.get(rate).url == read
        assert text in client.get(read).content.decode()
        client.post(read, {"version": "0"})
        assert client.get(rate).url == read
        client.post(read, {"version": "0", "consent": str(number)})
        assert client.get(rate).status_code == 200
    rater.refresh_from_db()
    assert (rater.consented_version, rater.consented_at is not None) == (2, True)
    assert next(version.text for version in rater.study.consent_versions.all()) == "We keep your answers."


@pytest.mark.parametrize(("text", "kinds"), [
    ("Write to jane.doe+x@example.co.uk!", ["e-mail"]),
    ("Call +49 30 1234567 or (555) 123-4567.", ["telephone"]), ("0171/234 56 78", ["telephone"]),
    ("card 4111 1111 1111 1111", ["card number"]), ("DE89 3704 0044 0532 0130 00", ["account number"]),
    ("SSN 123-45-6789", ["ID number"]),
    ("In 2024-01-31 we sold 1,234,567.89 of 12345678 items at 3.14159265358979", []),
    ("a @ b, user@localhost, 4111 1111 1111 1112, DE88 3704 0044 0532 0130 00, 000-12-3456", []),
    ("请打13812345678谢谢", ["telephone"]), ("电话０１０-１２３４５６７８。", ["telephone"]),
    ("电话+86 139 1234 5678", ["telephone"]),
    ("身份证11010519491231002X。", ["ID number"]), ("卡号４１１１１１１１１１１１１１１１哦", ["card number"]),
    ("账号DE89370400440532013000请查收，写信给li@example.com谢谢", ["e-mail", "account number"]),
    ("身份证110105194912310021，订单20231225134567，价格１３８０元，3.13812345678", []),
    ("", []), ("ISBN 978-3-16-148410-0 costs 10.000.000", []),
])  # fmt: skip
def test_personal_data_is_seen_and_plain_numbers_are_not(text, kinds):
    assert kinds_of_personal_data(text) == kinds


def test_tasks_with_personal_data_wait_for_a_manager_where_asked_for():
    for asked in (True, False):
        study = StudyFactory(flag_personal_data=asked)
        prompt = PromptFactory(study=study)
        pair = [ResponseFactory(prompt=prompt, text=text) for text in ("Ask jane@example.com", "Ask nobody")]
        create_tasks(study=study, response_sets=[pair])
        rater = MembershipFactory(study=study)
        assert (lease_next(rater=rater) is None) == asked
        if asked:
            flag = Flag.objects.get()
            assert (flag.rater, flag.kind, flag.details) == (None, "private", "e-mail")
            resolve(task=flag.task, hand_out=True)
            assert lease_next(rater=rater) is not None


def test_retention_erases_raters_of_studies_closed_long_ago_and_old_keys():
    kept, due = (MembershipFactory(study__retention_days=days) for days in (None, 30))
    for member in (kept, due):
        close_study(study=member.study)
    IdempotencyKey.objects.create(user=kept.user, key="k", digest="d")
    call_command("apply_retention")
    due.refresh_from_db()
    assert due.kind == "person"
    past = timezone.now() - timedelta(days=31)
    type(due.study).objects.update(closed_at=past)
    IdempotencyKey.objects.update(created_at=past)
    call_command("apply_retention")
    for member in (kept, due):
        member.refresh_from_db()
    assert (kept.kind, due.kind) == ("person", "erased")
    assert not IdempotencyKey.objects.exists()
