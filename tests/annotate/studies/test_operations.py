import pytest

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.judgements import Judgement
from annotate.models.studies import Study
from annotate.studies.operations import create_study, erase_study
from core.errors import PalateError
from tests.factories import MembershipFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"slug": "two words"}, "field slug"),
        ({"slug": "new"}, "taken by a page"),
        ({"name": ""}, "field name"),
        ({"method": "guess"}, "field method"),
        ({"replication": 0}, "field replication"),
        ({"method": "score"}, "at least one criterion"),
        ({"test_share": float("nan")}, "shares"),
        ({"validation_share": 0.5, "test_share": 0.5}, "shares"),
        ({"criteria": [{"key": "k", "minimum": 5, "maximum": 1}]}, "criterion k"),
        ({"criteria": [{"key": "k", "maximum": float("inf")}]}, "finite"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_made(fields, words):
    with pytest.raises(PalateError, match=words):
        create_study(**{"slug": "s", "name": "S", **fields})
    assert not Study.objects.exists()


def test_erasing_takes_the_study_with_its_judgements_and_nothing_else():
    gone, kept = MembershipFactory(), MembershipFactory()
    for rater in (gone, kept):
        TaskFactory(study=rater.study)
        submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2]))
    erase_study(study=gone.study)
    assert list(Study.objects.all()) == [kept.study]
    assert Judgement.objects.get().rater == kept
