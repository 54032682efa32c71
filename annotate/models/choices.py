"""Choices of columns that querysets and several tables share."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Purpose(models.TextChoices):
    """Why a task is shown. All but the first have a known answer, and no limit to their raters."""

    COLLECT = "collect", _("to learn what raters say")
    GOLD = "gold", _("to check raters in between")
    QUIZ = "quiz", _("to qualify raters before their first task")
    PRACTICE = "practice", _("to practise, with feedback")
    EXAMPLE = "example", _("as a worked example in the instructions")


class ChosenBy(models.TextChoices):
    """What put a task forward. Random ones are a sample of the study's tasks that no rule has touched."""

    UNCERTAINTY = "uncertainty", _("uncertainty of the preference model")
    DISAGREEMENT = "disagreement", _("disagreement of raters")
    INFORMATION = "information", _("information on the comparisons")
    RANDOM = "random", _("chance")


class Part(models.TextChoices):
    """What an answer is in the study: a vote, the same rater's vote on the same task again, an expert's word, or a
    rater's preference for what the rater wrote in a response's place."""

    VOTE = "vote", _("vote")
    REPEAT = "repeat", _("repeat")
    ADJUDICATION = "adjudication", _("adjudication")
    REWRITE = "rewrite", _("rewrite")


class AssignmentState(models.TextChoices):
    LEASED = "leased", _("leased")
    JUDGED = "judged", _("judged")
    SKIPPED = "skipped", _("skipped")
    RETURNED = "returned", _("returned")


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    MANAGER = "manager", _("manager")
    RATER = "rater", _("rater")
    AUDITOR = "auditor", _("auditor, who sees all and changes nothing")


class Kind(models.TextChoices):
    """Who is behind a membership. A simulated rater must never be mistaken for a person."""

    PERSON = "person", _("person")
    IMPORTED = "imported", _("imported rater")
    SIMULATED = "simulated", _("simulated rater")
    ERASED = "erased", _("erased person")
    MACHINE = "machine", _("machine judge")


class RaterStatus(models.TextChoices):
    """What a rater's known answers have led to."""

    GOOD = "good", _("good")
    WARNED = "warned", _("warned")
    PAUSED = "paused", _("paused")
    EXCLUDED = "excluded", _("excluded")


MANAGING_ROLES = (Role.OWNER, Role.MANAGER)
READING_ROLES = (*MANAGING_ROLES, Role.AUDITOR)
