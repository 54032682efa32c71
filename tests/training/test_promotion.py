"""A policy is promoted by a person with a reason, or by a rule about what raters said; by nothing else."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.tasks import Task
from core.errors import PalateError
from tests.factories import MembershipFactory, TaskFactory
from training.models import ModelKind, ModelVersion, Round
from training.rounds.promotion import Rule, promote, promote_by_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def round_():
    """A round of ten prompts that one person judged, always for the tuned policy."""
    return judged(prompts=10)


def judged(prompts):
    rater = MembershipFactory(role="manager")
    study = rater.study
    tuned, base = (
        ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name=n, path=f"/m/{n}")
        for n in ("tuned", "base")
    )
    round_ = Round.objects.create(study=study, number=1, policy=tuned, against=base)
    for _ in range(prompts):
        task = TaskFactory(study=study)
        for response, author in zip(task.responses.order_by("pk"), (tuned, base), strict=True):
            response.author_model = author
            response.save()
    Task.objects.update(round=round_)
    mine = set(tuned.responses.values_list("pk", flat=True))
    for _ in range(prompts):
        lease = lease_next(rater=rater)
        submit(assignment=lease, answer=Answer(ranks=[1 if pk in mine else 2 for pk in lease.shown]))
    round_.manager = rater.user
    return round_


def test_a_rule_promotes_and_says_why(round_):
    call_command("promote_policy", study=round_.study.slug, judgements=10)
    round_.policy.refresh_from_db()
    assert round_.policy.promoted_by is None
    assert "win rate above 0.5 at 95 %, at least 10 judgements of people" in round_.policy.promoted_because
    assert "win rate 1.000 [0.6" in round_.policy.promoted_because
    assert "from 10 judgements on 10 prompts" in round_.policy.promoted_because


@pytest.mark.parametrize("prompts", [3, 5])
def test_few_prompts_promote_nothing_however_unanimous(prompts):
    round_ = judged(prompts)
    with pytest.raises(PalateError, match=rf"win rate 1.000 \[0.\d+, 1.000\] from {prompts} judgements on {prompts}"):
        promote_by_rule(round_=round_, rule=Rule(judgements=prompts))
    assert not ModelVersion.objects.filter(promoted_at__isnull=False).exists()


def test_a_rule_that_is_not_met_promotes_nothing(round_):
    with pytest.raises(CommandError, match=r"does not meet the rule .*at least 100.*from 10 judgements"):
        call_command("promote_policy", study=round_.study.slug)
    with pytest.raises(PalateError, match="does not meet"):
        promote_by_rule(round_=round_, rule=Rule(above=1.0, judgements=1))
    round_.study.memberships.update(kind="simulated", user=None, external_id="s", role="rater")
    with pytest.raises(PalateError, match="no judgements that the rule counts"):
        promote_by_rule(round_=round_, rule=Rule(judgements=1))
    with pytest.raises(CommandError, match="no such round"):
        call_command("promote_policy", study=round_.study.slug, round=9)
    assert not ModelVersion.objects.filter(promoted_at__isnull=False).exists()


def test_a_person_promotes_from_the_page_once_and_with_a_reason(round_, client):
    client.force_login(round_.manager)
    address = reverse("model-promote", args=[round_.study.slug, round_.policy.pk])
    assert "Say in a few words" in client.post(address, follow=True).content.decode()
    page = client.post(address, {"reason": "Raters like it <b>"}, follow=True).content.decode()
    assert "Raters like it &lt;b&gt;" in page
    round_.policy.refresh_from_db()
    assert round_.policy.promoted_by == round_.manager
    with pytest.raises(PalateError, match="already"):
        promote(version=round_.policy, by=None, reason="again")
    reward = ModelVersion.objects.create(study=round_.study, kind=ModelKind.PREFERENCE, name="r", path="/m/r")
    with pytest.raises(PalateError, match="Only a policy"):
        promote(version=reward, by=None, reason="x")
