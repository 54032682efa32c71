"""Which judgements pages show unless asked otherwise."""

from django.db.models import Exists, OuterRef

from annotate.models.choices import Part
from annotate.models.judgements import Judgement
from annotate.models.selection import KINDS, JudgementSelection, Who
from annotate.models.studies import Study


def default_selection(study: Study) -> JudgementSelection:
    """Return what pages show unless asked otherwise: people's votes.

    Where no person has voted, those of simulated raters, or else of machine judges.
    """
    votes = Judgement.objects.live().filter(rater=OuterRef("pk"), part=Part.VOTE)
    for who in (Who.PEOPLE, Who.SIMULATED, Who.MACHINE):
        if study.memberships.filter(Exists(votes), kind__in=KINDS[who]).exists():
            return JudgementSelection(who=who)
    return JudgementSelection()
