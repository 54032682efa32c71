"""Erasing a person from a study: what was judged stays, who judged it does not."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.utils.translation import gettext as _

from annotate.collection.slots import end_leases
from annotate.models.audit import Entry
from annotate.models.choices import Kind, Role
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.review import Flag
from annotate.models.tasks import Assignment
from core.errors import PalateError


@transaction.atomic
def erase_member(*, member: Membership) -> None:
    """Cut the judgements of a person off from the person, for good.

    Ranks, scores and times stay under the pseudonym that they have in exports, and rewrites, which are responses. Free
    texts of the person (comments, drafts, reasons, details of flags), tags and the declared group are emptied; the log,
    runs and models no longer say who it was. An account that takes part in nothing else is deleted.
    Raises PalateError for the owner.
    """
    locked = Membership.objects.select_for_update(of=("self",)).select_related("user").get(pk=member.pk)
    if locked.role == Role.OWNER:
        raise PalateError(_("The owner cannot be erased."))
    if locked.user is None:
        raise PalateError(_("This rater has no account to be erased."))
    user = locked.user
    with _append_only_lifted():
        Judgement.objects.filter(rater=locked).exclude(comment="").update(comment="")
        Entry.objects.filter(study=locked.study_id, user=user).update(user=None, actor=locked.pseudonym)
    end_leases(locked)
    Assignment.objects.filter(rater=locked).update(draft=None)
    Assignment.objects.filter(rater=locked).exclude(skip_reason="").update(skip_reason="erased")
    Flag.objects.filter(rater=locked).update(details="")
    user.runs.filter(study=locked.study_id).update(created_by=None)
    user.promoted_models.filter(study=locked.study_id).update(promoted_by=None)
    locked.user, locked.kind, locked.role, locked.active, locked.tags = None, Kind.ERASED, Role.RATER, False, []
    locked.external_id, locked.declared_group, locked.invitation = f"erased-{secrets.token_hex(8)}", "", None
    locked.save(update_fields=["user", "kind", "role", "active", "tags", "external_id", "declared_group", "invitation"])
    if not user.memberships.exists() and not user.is_staff and not user.is_superuser:
        with _append_only_lifted():
            Entry.objects.filter(user=user).update(user=None, actor="erased")
        user.delete()


@contextmanager
def _append_only_lifted() -> Iterator[None]:
    """Judgements and log entries may be changed in the block; the triggers let it pass in this transaction only."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL palate.erasing = 'on'")
        yield
        cursor.execute("SET LOCAL palate.erasing = 'off'")
