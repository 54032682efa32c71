"""Making, changing and erasing studies."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.models.choices import Role
from annotate.models.members import Membership
from annotate.models.studies import MAX_CRITERIA, Criterion, Method, Study
from annotate.studies.consent import publish_consent
from annotate.studies.instructions import publish
from core.errors import PalateError

# Short names that stand in the addresses of other pages.
RESERVED = ("new", "preview")
CHANGEABLE = (
    *("name", "description", "instructions", "require_reading", "active"),
    *("replication", "lease_minutes", "rater_cap"),
    *("text_format", "rank_size", "allow_ties", "use_strength", "show_diff", "show_agreement"),
    *("blind", "content_warning", "blur", "break_minutes"),
    *("side_by_side", "show_reference", "label_question", "labels", "ask_confidence", "ask_rewrite"),
    *("repeat_share", "gold_share", "gold_minimum", "gold_rule", "quiz_minimum", "skip_share", "flag_share"),
    *("consent", "flag_personal_data", "retention_days"),
)


@transaction.atomic
def create_study(
    *,
    slug: str,
    name: str,
    method: str = Method.COMPARE,
    owner: Any = None,
    instructions: str = "",
    validation_share: float = 0.15,
    test_share: float = 0.15,
    criteria: Sequence[Mapping[str, Any]] = (),
    **settings: Any,
) -> Study:
    """Make a study with its criteria and its owner. Raises PalateError that names the field that does not fit.

    criteria: mappings with key, name, and where wanted minimum, maximum, step, labels, weight, description.
    settings: any of CHANGEABLE.
    """
    study = Study(slug=slug, name=name, method=method, validation_share=validation_share, test_share=test_share)
    _change(study, settings)
    if slug in RESERVED:
        raise PalateError(
            _("study %(study)s, field slug: this short name is taken by a page; choose another") % {"study": slug}
        )
    if not (validation_share >= 0 and test_share >= 0 and validation_share + test_share < 1):
        message = _(
            "study %(study)s: the shares for validation and test must be at least 0 and leave prompts for training, "
            "not %(validation)g and %(test)g"
        )
        raise PalateError(message % {"study": slug, "validation": validation_share, "test": test_share})
    _valid(study, _("study %(study)s") % {"study": slug})
    if method == Method.SCORE and not criteria:
        raise PalateError(_("study %(study)s: a scoring study needs at least one criterion") % {"study": slug})
    try:
        with transaction.atomic():
            study.save()
    except IntegrityError:  # made by somebody else since it was checked
        _valid(study, _("study %(study)s") % {"study": slug})
        raise
    publish(study=study, text=instructions)
    for fields in criteria:
        add_criterion(study=study, **fields)
    if owner is not None:
        Membership.objects.create(study=study, user=owner, role=Role.OWNER)
    return study


def add_criterion(*, study: Study, key: str, name: str = "", **fields: Any) -> Criterion:
    """Give the study one more scale. Raises PalateError when it does not fit."""
    criterion = Criterion(
        study=study, key=key, name=name or key.replace("-", " ").capitalize(), position=study.criteria.count(), **fields
    )
    if criterion.position >= MAX_CRITERIA:
        raise PalateError(_("criterion %(key)s: a study has at most %(n)d criteria") % {"key": key, "n": MAX_CRITERIA})
    _valid(criterion, _("criterion %(key)s") % {"key": key})
    criterion.save()
    return criterion


@transaction.atomic
def change_study(*, study: Study, **fields: Any) -> Study:
    """Change what a manager may change of a study that runs. Raises PalateError that names the field.

    A new number of raters counts for the tasks that are made from now on.
    """
    text, consent = fields.pop("instructions", None), fields.pop("consent", None)
    _change(study, fields)
    _valid(study, _("study %(study)s") % {"study": study.slug})
    if study.closed_at and study.active:
        raise PalateError(_("study %(study)s: it is closed; open it again first") % {"study": study.slug})
    study.save(update_fields=list(fields))
    if text is not None:
        publish(study=study, text=text)
    if consent is not None:
        publish_consent(study=study, text=consent)
    return study


def _change(study: Study, settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if name not in CHANGEABLE:
            raise PalateError(f"study {study.slug}, field {name}: cannot be set")
        setattr(study, name, value)


def pause_study(*, study: Study) -> None:
    """Hand out nothing for now; tasks that raters hold can still be judged."""
    Study.objects.filter(pk=study.pk).update(active=False)


def resume_study(*, study: Study) -> None:
    """Hand out tasks again. Raises PalateError when the study is closed."""
    if not Study.objects.filter(pk=study.pk, closed_at=None).update(active=True):
        raise PalateError(_("study %(study)s: it is closed; open it again first") % {"study": study.slug})


@transaction.atomic
def close_study(*, study: Study) -> None:
    """End a study: nothing is handed out and nobody can join; what was judged stays.

    Tasks that raters hold can be judged until their leases end; nothing can be corrected any more.
    """
    # An answer on its way is stored first or sees the closed study (annotate.collection.permission.locked_rater).
    list(study.memberships.order_by("pk").select_for_update(no_key=True, of=("self",)).values_list("pk"))
    Study.objects.filter(pk=study.pk).update(active=False, closed_at=timezone.now())


def reopen_study(*, study: Study) -> None:
    """Go on with a closed study."""
    Study.objects.filter(pk=study.pk).update(active=True, closed_at=None)


def _valid(instance: Study | Criterion, what: str) -> None:
    try:
        instance.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        message = _("%(what)s, field %(field)s: %(wrong)s")
        raise PalateError(message % {"what": what, "field": field, "wrong": messages[0]}) from None


@transaction.atomic
def erase_study(*, study: Study) -> None:
    """Remove a study with everything in it, its judgements included. There is no way back."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL palate.erasing = 'on'")
    for model, owner in BIG_TABLES:
        rows = apps.get_model(model)._default_manager.filter(**{owner: study.pk})
        # One statement, without loading a row; nothing refers to these rows any more.
        rows._raw_delete(rows.db)
    study.rounds.all().delete()
    study.model_versions.update(parent=None, reward=None)
    study.model_versions.all().delete()
    study.memberships.all().delete()
    study.delete()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL palate.erasing = 'off'")


# Tables that may hold millions of a study's rows, and how they lead to it: each before those that it refers to.
BIG_TABLES = (
    ("training.ResponseReward", "response__prompt__study"),
    ("annotate.Flag", "task__study"),
    ("annotate.KnownAnswer", "task__study"),
    ("annotate.MachineVerdict", "judgement__task__study"),
    ("annotate.Judgement", "task__study"),
    ("annotate.Assignment", "task__study"),
    ("annotate.TaskResponse", "task__study"),
    ("annotate.Task", "study"),
    ("annotate.Response", "prompt__study"),
    ("annotate.Prompt", "study"),
    ("annotate.Delivery", "webhook__study"),
    ("annotate.Entry", "study"),
    ("training.RunPoint", "run__study"),
    ("training.RunSample", "run__study"),
)
