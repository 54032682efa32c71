from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    MANAGER = "manager", _("manager")
    RATER = "rater", _("rater")


class Kind(models.TextChoices):
    """Who is behind a membership. A simulated rater must never be mistaken for a person."""

    PERSON = "person", _("person")
    IMPORTED = "imported", _("imported rater")
    SIMULATED = "simulated", _("simulated rater")


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
    def manages(self) -> bool:
        return self.role in (Role.OWNER, Role.MANAGER)
