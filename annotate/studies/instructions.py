"""Instructions and who has read them."""

from django.db import transaction

from annotate.models.instructions import InstructionsVersion
from annotate.models.members import Membership
from annotate.models.studies import Study
from annotate.studies.consent import must_agree


@transaction.atomic
def publish(*, study: Study, text: str) -> None:
    """Give the study new instructions; the same text again changes nothing. Older versions stay."""
    if text.strip() == study.instructions.strip() and (study.instructions_version or not text.strip()):
        return
    study.instructions, study.instructions_version = text, study.instructions_version + 1
    InstructionsVersion.objects.create(study=study, number=study.instructions_version, text=text)
    study.save(update_fields=["instructions", "instructions_version"])


def confirm_reading(*, rater: Membership, version: int) -> None:
    """The rater says to have read this version; what is older counts as read with it."""
    Membership.objects.filter(pk=rater.pk, instructions_read__lt=version).update(instructions_read=version)


def must_read(rater: Membership) -> bool:
    """Whether the rater has to confirm the newest instructions, or to agree, before the next task."""
    study = rater.study
    to_read = study.require_reading and bool(study.instructions.strip())
    return must_agree(rater) or (to_read and rater.instructions_read < study.instructions_version)
