import hashlib

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Split(models.TextChoices):
    TRAIN = "train", _("train")
    VALIDATION = "validation", _("validation")
    TEST = "test", _("test")


def split_of(key: str, *, validation_share: float, test_share: float) -> Split:
    """The split of a prompt: a stable hash of `key` (its group, or else its id), so that neither time,
    order nor machine moves a prompt from one split to another."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    if place < test_share:
        return Split.TEST
    return Split.VALIDATION if place < test_share + validation_share else Split.TRAIN


class Prompt(models.Model):
    """An input text of a study. Prompts of one group (a debate, a source document) share a split."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="prompts")
    external_id = models.CharField(max_length=200, help_text=_("The id in the file; else a hash of the text."))
    text = models.TextField()
    messages = models.JSONField(
        null=True, blank=True, help_text=_("Of a conversation: its messages with roles; the text renders them.")
    )
    group = models.CharField(max_length=200, blank=True)
    split = models.CharField(max_length=10, choices=Split)
    reference = models.TextField(blank=True, help_text=_("A known good answer, where there is one."))
    context = models.TextField(blank=True, help_text=_("Shown to raters with it: facts to check, a policy to follow."))
    audience = ArrayField(
        models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text=_("Tags that a rater of its tasks needs, all of them; none for everybody."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["study", "external_id"], name="prompt_unique_in_study"),
            models.CheckConstraint(condition=Q(text__regex=r"\S"), name="prompt_text_not_blank"),
        ]
        indexes = [models.Index(fields=["study", "split"])]

    def __str__(self) -> str:
        return self.text[:80]


class Response(models.Model):
    """One completion of a prompt, with its author: a ModelVersion or an imported name."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="responses")
    external_id = models.CharField(max_length=200)
    text = models.TextField(blank=True, help_text=_("Empty where a model wrote nothing."))
    author_model = models.ForeignKey(
        "training.ModelVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="responses"
    )
    author_name = models.CharField(max_length=200, blank=True)
    run = models.ForeignKey("training.Run", on_delete=models.SET_NULL, null=True, blank=True, related_name="responses")
    decoding = models.JSONField(default=dict, blank=True, help_text=_("Decoding parameters and seed."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "external_id"], name="response_unique_in_prompt"),
            models.CheckConstraint(
                condition=Q(author_model__isnull=False) | ~Q(author_name=""), name="response_has_author"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]

    @property
    def author(self) -> str:
        return str(self.author_model) if self.author_model else self.author_name
