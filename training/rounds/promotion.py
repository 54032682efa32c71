"""Promote a policy to be the one to continue with, by a person or by a rule on its win rate."""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.audit.operations import record
from annotate.models.accounts import User
from annotate.models.audit import Action
from annotate.models.selection import JudgementSelection, Who
from core.errors import PalateError
from training.models import ModelKind, ModelVersion, Round
from training.rounds.win_rate import win_rate


@dataclass(frozen=True)
class Rule:
    """Requires the lower end of the 95 % interval of a round's win rate to exceed `above`, with enough judgements."""

    above: float = 0.5
    judgements: int = 100
    people_only: bool = True

    def __str__(self) -> str:
        raters = "people" if self.people_only else "all raters"
        return f"win rate above {self.above:g} at 95 %, at least {self.judgements} judgements of {raters}"


@transaction.atomic
def promote(*, version: ModelVersion, by: User | None, reason: str) -> None:
    """Promote a policy. Raises PalateError for a preference model, a promoted policy, or without a reason."""
    locked = ModelVersion.objects.select_for_update(of=("self",)).select_related("study").get(pk=version.pk)
    if locked.kind != ModelKind.POLICY:
        raise PalateError(_("Only a policy can be promoted."))
    if locked.promoted_at:
        message = _("%(policy)s is promoted already: %(because)s")
        raise PalateError(message % {"policy": locked, "because": locked.promoted_because})
    reason = reason.replace("\0", "").strip()
    if not reason:
        raise PalateError(_("Say in a few words why the policy is promoted."))
    locked.promoted_at, locked.promoted_by, locked.promoted_because = timezone.now(), by, reason[:300]
    locked.save(update_fields=["promoted_at", "promoted_by", "promoted_because"])
    if locked.study is not None:
        record(
            study=locked.study,
            user=by,
            action=Action.DECIDED,
            subject=f"{locked} promoted",
            reason=locked.promoted_because,
        )


def promote_by_rule(*, round_: Round, rule: Rule) -> str:
    """Promote a round's policy if its judgements meet the rule; return a summary of them. Raises PalateError if not."""
    rate = win_rate(round_, JudgementSelection(Who.PEOPLE if rule.people_only else Who.ALL))
    if rate.value is None or rate.low is None or rate.high is None:
        raise PalateError(f"round {round_.number} has no judgements that the rule counts ({rule})")
    message = (
        f"win rate {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}] from {rate.judgements} judgements on "
        f"{rate.prompts} prompts"
    )
    if rate.low <= rule.above or rate.judgements < rule.judgements:
        raise PalateError(f"round {round_.number} does not meet the rule ({rule}): {message}")
    promote(version=round_.policy, by=None, reason=f"rule: {rule}; round {round_.number}: {message}")
    return message
