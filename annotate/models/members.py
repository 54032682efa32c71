from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from annotate.models.choices import Kind, RaterStatus, Role

# People who may join by one invitation.
MAX_USES = 10_000


class Membership(models.Model):
    """Somebody's part in a study. People have a user; imported and simulated raters only a name."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="memberships"
    )
    external_id = models.CharField(max_length=200, null=True, blank=True)
    role = models.CharField(max_length=10, choices=Role, default=Role.RATER)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.PERSON)
    active = models.BooleanField(default=True)
    tags = ArrayField(
        models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text=_("Languages, groups and qualifications: the rater gets tasks whose audience is among them."),
    )
    # What a rater says of themselves, one of the study's rater_groups; shown only of many together.
    declared_group = models.CharField(max_length=100, blank=True)
    status = models.CharField(max_length=10, choices=RaterStatus, default=RaterStatus.GOOD)
    reinstated_at = models.DateTimeField(null=True, blank=True)
    instructions_read = models.PositiveIntegerField(default=0, help_text=_("The newest version that was confirmed."))
    consented_version = models.PositiveIntegerField(default=0, help_text=_("The newest consent that was given."))
    consented_at = models.DateTimeField(null=True, blank=True)
    quiz_passed = models.BooleanField(null=True, blank=True)
    invitation = models.ForeignKey(
        "annotate.Invitation", on_delete=models.SET_NULL, null=True, blank=True, related_name="members"
    )
    made_account = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_("The account was made for this study: by an invitation to it, or by its managers."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["study", "user"], name="membership_unique_user"),
            models.UniqueConstraint(fields=["study", "external_id", "kind"], name="membership_unique_external_id"),
            models.CheckConstraint(
                condition=Q(kind=Kind.PERSON, user__isnull=False)
                | (~Q(kind=Kind.PERSON) & Q(user__isnull=True, external_id__isnull=False, role=Role.RATER)),
                name="membership_person_has_user",
            ),
        ]

    def __str__(self) -> str:
        return self.user.get_username() if self.user else f"{self.external_id} ({self.kind})"

    @property
    def pseudonym(self) -> str:
        """The rater's name in exports and reports: stable, and telling nothing about the person."""
        return f"r{self.pk}"

    @property
    def blocked(self) -> bool:
        """Whether tasks are withheld from the rater until a manager decides."""
        return self.status in (RaterStatus.PAUSED, RaterStatus.EXCLUDED) or self.quiz_passed is False

    @property
    def manages(self) -> bool:
        return self.role in (Role.OWNER, Role.MANAGER)

    @property
    def audits(self) -> bool:
        return self.role == Role.AUDITOR


class Invitation(models.Model):
    """A link by which people join a study as raters until it expires or is withdrawn."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="invitations")
    token = models.CharField(max_length=64, unique=True)
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    expires_at = models.DateTimeField()
    joined = models.PositiveIntegerField(default=0)
    max_uses = models.PositiveIntegerField(default=100, db_default=100)
    hourly_uses = models.PositiveIntegerField(default=30, db_default=30)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(max_uses__gte=1, hourly_uses__gte=1), name="invitation_can_be_used"),
            models.CheckConstraint(condition=Q(joined__lte=F("max_uses")), name="invitation_uses_within_limit"),
        ]

    def __str__(self) -> str:
        return f"invitation to {self.study}"

    @property
    def valid(self) -> bool:
        return self.expires_at > timezone.now() and self.study.closed_at is None
