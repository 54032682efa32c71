"""What raters agree to before they judge, and who has agreed to which version."""

from django.db import transaction
from django.utils import timezone

from annotate.models.members import Membership
from annotate.models.privacy import ConsentVersion
from annotate.models.studies import Study


@transaction.atomic
def publish_consent(*, study: Study, text: str) -> None:
    """Give the study a new text, which every rater is asked about again; the same text changes nothing."""
    if text.strip() == study.consent.strip():
        return
    study.consent, study.consent_version = text, study.consent_version + 1
    ConsentVersion.objects.create(study=study, number=study.consent_version, text=text)
    study.save(update_fields=["consent", "consent_version"])


def agree(*, rater: Membership, version: int) -> None:
    """The rater agrees to this version. An older agreement is never put in the place of a newer one."""
    own = Membership.objects.filter(pk=rater.pk, kind=rater.kind, consented_version__lt=version)
    own.update(consented_version=version, consented_at=timezone.now())


def must_agree(rater: Membership) -> bool:
    study = rater.study
    return bool(study.consent.strip()) and rater.consented_version < study.consent_version
