import math
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.validators import ArrayMaxLengthValidator
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from annotate.models.study_queries import StudyQuerySet


class Method(models.TextChoices):
    """How new tasks of a study are judged. The screen itself follows the number of responses of a task."""

    SCORE = "score", _("score one response")
    COMPARE = "compare", _("compare two responses")
    RANK = "rank", _("rank several responses")


class TextFormat(models.TextChoices):
    PLAIN = "plain", _("plain text, as written")
    MARKDOWN = "markdown", _("Markdown")
    DIALOGUE = "dialogue", _("conversations, turn by turn")


class GoldRule(models.TextChoices):
    """What happens to a rater who gets too many known answers wrong."""

    WARN = "warn", _("tell the rater")
    PAUSE = "pause", _("tell the rater and hand out nothing more until a manager agrees")
    EXCLUDE = "exclude", _("the same, and leave the rater's votes out of training")


# Bounds on what a study asks, so that every screen and every sum over it stays small.
MAX_LABELS, MAX_CRITERIA = 100, 50
MAX_SCORE, MAX_STEPS = 1e9, 1e12


def validate_finite(value: float) -> None:
    """Refuse NaN, which passes every comparison with a limit, and infinity."""
    if not math.isfinite(value):
        raise ValidationError(_("Enter a finite number."))


def scale_number(label: Any, default: float) -> models.FloatField:
    """A number of a scale, far from where floating-point arithmetic overflows."""
    limits = (validate_finite, MinValueValidator(-MAX_SCORE), MaxValueValidator(MAX_SCORE))
    return models.FloatField(label, default=default, validators=limits)


def share(label: Any, default: float | None = 0.0, **options: Any) -> models.FloatField:
    """A number from 0 to 1."""
    limits = [MinValueValidator(0), MaxValueValidator(1)]
    return models.FloatField(label, default=default, validators=[validate_finite, *limits], **options)


class Study(models.Model):
    """One collection effort: instructions, method, criteria, replication, members with roles."""

    slug = models.SlugField(_("short name"), unique=True, help_text=_("Used in addresses and commands."))
    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    instructions = models.TextField(_("instructions"), blank=True)
    method = models.CharField(_("method"), max_length=10, choices=Method, default=Method.COMPARE)
    replication = models.PositiveSmallIntegerField(
        _("raters per task"), default=3, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    lease_minutes = models.PositiveSmallIntegerField(
        _("minutes a task is kept for a rater"), default=30, validators=[MinValueValidator(1)]
    )
    validation_share = models.FloatField(_("share of prompts for validation"), default=0.15)
    test_share = models.FloatField(_("share of prompts for the test"), default=0.15)
    active = models.BooleanField(_("hands out tasks"), default=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    # Instructions: the text above is the newest version; annotate.instructions keeps them all.
    instructions_version = models.PositiveIntegerField(default=0)
    require_reading = models.BooleanField(
        _("raters confirm that they have read the instructions"), default=True, help_text=_("Again after each change.")
    )

    # The screen.
    text_format = models.CharField(_("texts are shown as"), max_length=10, choices=TextFormat, default=TextFormat.PLAIN)
    allow_ties = models.BooleanField(_("ties are allowed"), default=True)
    use_strength = models.BooleanField(_("ask how much better"), default=True)
    show_diff = models.BooleanField(_("offer to mark the words that differ"), default=True)
    show_agreement = models.BooleanField(
        _("show raters whether others agree"), default=False, help_text=_("After their own answer.")
    )
    blind = models.BooleanField(
        _("hide who wrote the responses"), default=True, help_text=_("A rater who knows the author judges the author.")
    )
    blur = models.BooleanField(_("blur texts until they are asked for"), default=False)
    content_warning = models.CharField(_("content warning"), max_length=300, blank=True)
    break_minutes = models.PositiveSmallIntegerField(
        _("remind of a break after this many minutes"), default=45, help_text=_("0 for never.")
    )

    side_by_side = models.BooleanField(
        _("the prompt next to the response"),
        default=False,
        help_text=_("Where one response is scored and there is room."),
    )
    show_reference = models.BooleanField(_("show the known good answer of the prompt"), default=False)

    # What is asked besides ranks and scores.
    label_question = models.CharField(
        _("question about the prompt"), max_length=200, blank=True, help_text=_("Such as: can this be answered?")
    )
    labels = ArrayField(
        models.CharField(max_length=100),
        verbose_name=_("labels to choose from"),
        default=list,
        blank=True,
        validators=[ArrayMaxLengthValidator(MAX_LABELS)],
        help_text=_("With commas between them; none asks for no label."),
    )
    ask_confidence = models.BooleanField(_("ask how sure raters are of the label"), default=False)
    ask_rewrite = models.BooleanField(
        _("ask for a better version"),
        default=False,
        help_text=_("What a rater writes becomes a response that the rater prefers to the one it was made from."),
    )

    # Who gets what.
    rank_size = models.PositiveSmallIntegerField(
        _("responses in a ranking"), default=3, validators=[MinValueValidator(3), MaxValueValidator(10)]
    )
    rater_cap = models.PositiveIntegerField(
        _("most judgements by one rater"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    repeat_share = share(_("share of tasks shown a second time"), help_text=_("Order swapped, to measure consistency."))
    gold_share = share(_("share of tasks with a known answer"))
    gold_minimum = share(_("known answers that must be right"), default=0.7)
    gold_rule = models.CharField(_("a rater who falls below"), max_length=10, choices=GoldRule, default=GoldRule.WARN)
    quiz_minimum = share(
        _("share of the quiz that must be right"), default=0.8, help_text=_("Counts where there are quiz tasks.")
    )
    # What raters may leave out.
    skip_share = share(
        _("share of tasks that a rater may skip or flag"),
        default=0.2,
        db_default=0.2,
        help_text=_("Within a day, besides the first 20."),
    )
    flag_share = share(
        _("share of tasks that flags take out"),
        default=0.05,
        db_default=0.05,
        help_text=_(
            "Within a day, besides the first 5 of a rater and the first 20 of all. Further flags wait for review, too, "
            "and their tasks stay in use meanwhile."
        ),
    )
    # Privacy.
    consent = models.TextField(
        _("consent"), blank=True, help_text=_("What raters agree to before they judge; again after each change.")
    )
    consent_version = models.PositiveIntegerField(default=0)
    flag_personal_data = models.BooleanField(
        _("hold back tasks whose responses seem to hold personal data"),
        default=False,
        help_text=_("E-mail addresses, telephone, account, card and ID numbers; a manager decides on the page Review."),
    )
    retention_days = models.PositiveIntegerField(
        _("days after closing until raters are erased"), null=True, blank=True, help_text=_("Empty for never.")
    )

    # Fairness: groups that raters may say they belong to, and the fewest raters of one whose results are shown.
    rater_groups = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    group_minimum = models.PositiveSmallIntegerField(default=10, validators=[MinValueValidator(5)])
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StudyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "studies"
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(replication__gte=1), name="study_replication_positive"),
            models.CheckConstraint(condition=Q(rank_size__range=(3, 10)), name="study_rank_size_fits_a_screen"),
            *(
                models.CheckConstraint(condition=Q(**{f"{name}__range": (0, 1)}), name=f"study_{name}_is_a_share")
                for name in ("repeat_share", "gold_share", "gold_minimum", "quiz_minimum", "skip_share", "flag_share")
            ),
            models.CheckConstraint(condition=Q(group_minimum__gte=5), name="study_groups_are_anonymous"),
            models.CheckConstraint(
                condition=Q(validation_share__gte=0)
                & Q(test_share__gte=0)
                & Q(validation_share__lt=1 - F("test_share")),
                name="study_shares_leave_training_prompts",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Criterion(models.Model):
    """One labelled scale on which responses are scored, such as fluency from 1 to 5."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="criteria")
    key = models.SlugField(_("key"), max_length=50)
    name = models.CharField(_("name"), max_length=100)
    description = models.CharField(_("question"), max_length=300, blank=True)
    minimum = scale_number(_("lowest score"), 1)
    maximum = scale_number(_("highest score"), 5)
    step = scale_number(_("step"), 1)
    labels = models.JSONField(_("labels"), default=dict, blank=True, help_text=_("Score to words."))
    weight = scale_number(_("weight in the total"), 1)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["study", "key"], name="criterion_unique_in_study"),
            models.CheckConstraint(condition=Q(minimum__lt=F("maximum")), name="criterion_range_not_empty"),
            models.CheckConstraint(
                condition=Q(minimum__gte=-MAX_SCORE) & Q(maximum__lte=MAX_SCORE) & Q(weight__lte=MAX_SCORE),
                name="criterion_numbers_bounded",
            ),
            models.CheckConstraint(
                condition=Q(step__lte=MAX_SCORE) & Q(step__gte=F("maximum") / MAX_STEPS - F("minimum") / MAX_STEPS),
                name="criterion_steps_bounded",
                violation_error_message=_("The step is too small for the range of the scale."),
            ),
            models.CheckConstraint(condition=Q(step__gt=0), name="criterion_step_positive"),
            models.CheckConstraint(condition=Q(weight__gte=0), name="criterion_weight_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name
