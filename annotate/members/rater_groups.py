"""What raters may say of themselves, and saying it."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from annotate.models.members import Membership
from annotate.models.studies import MAX_LABELS, Study
from core.errors import PalateError

# Fewer would be no anonymity.
LEAST_MINIMUM = 5


@transaction.atomic
def set_groups(*, study: Study, groups: Sequence[str], minimum: int) -> None:
    """Say which groups raters may declare, and how many raters a group needs to be shown. What raters said of groups
    that are offered no more is forgotten. Raises PalateError when the words or the number do not fit."""
    words = [group.strip() for group in groups if group.strip()]
    if len(set(words)) < len(words) or len(words) == 1:
        raise PalateError(_("Name two groups or more, each once, or none."))
    if len(words) > MAX_LABELS:
        raise PalateError(_("The number of groups is limited to %(n)d.") % {"n": MAX_LABELS})
    if any(len(word) > 100 for word in words):
        raise PalateError(_("The name of a group has at most 100 characters."))
    if minimum < LEAST_MINIMUM:
        raise PalateError(_("A group that is shown has at least %(n)d raters.") % {"n": LEAST_MINIMUM})
    Study.objects.filter(pk=study.pk).update(rater_groups=words, group_minimum=minimum)
    study.memberships.exclude(declared_group="").exclude(declared_group__in=words).update(declared_group="")


def declare_group(*, rater: Membership, group: str) -> None:
    """Store what a rater says of themselves; "" takes it back. Raises PalateError for a group that is not offered."""
    if group and group not in rater.study.rater_groups:
        raise PalateError(_("Choose one of the groups, or none."))
    # A person who is erased meanwhile stays erased.
    Membership.objects.filter(pk=rater.pk, kind=rater.kind).update(declared_group=group)
