"""COPY stores what an insert stores, and the database refuses the same."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotate.exchange.importers.bulk_copy import copy_in
from annotate.models.judgements import Judgement
from tests.factories import CriterionFactory, MembershipFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def judgement():
    task = TaskFactory(k=2)
    CriterionFactory(study=task.study, key="clear", minimum=1, maximum=5)

    def judgement(**changes):
        return Judgement(
            task=task,
            rater=MembershipFactory(study=task.study),
            shown=[response.pk for response in task.responses.all()],
            made_at=timezone.now(),
            **{"ranks": [1, 2], "unacceptable": [False, True], **changes},
        )

    return judgement


def test_every_value_arrives_as_it_was(judgement):
    whole = judgement(scores={"clear": [1, 4.5]}, comment='tab\tline\n"\\N"', seconds=2.5, strength=3)
    bare = judgement(ranks=None, scores={"clear": [5, 5]}, unacceptable=[False, False])
    copy_in([])
    copy_in([whole, bare])
    values = [field.attname for field in Judgement._meta.concrete_fields if not field.primary_key]
    found = list(Judgement.objects.order_by("pk").values(*values))
    assert found == [{name: getattr(one, name) for name in values} for one in (whole, bare)]


def test_what_does_not_fit_is_refused(judgement):
    with pytest.raises(IntegrityError, match="dense weak order"), transaction.atomic():
        copy_in([judgement(), judgement(ranks=[1, 3])])
    assert not Judgement.objects.exists()
