"""Choices of columns that querysets and several tables share."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class RunKind(models.TextChoices):
    PRETRAIN = "pretrain", _("pretrain")
    GENERATE = "generate_responses", _("generate responses")
    TRAIN_PREFERENCE = "train_preference", _("train preference model")
    DISTIL = "distil_preference", _("distil preference model")
    EVALUATE = "evaluate_preference", _("evaluate preference model")
    SCORE = "score_responses", _("score responses")
    RL_FINETUNE = "rl_finetune", _("tune the policy")
    NEXT_ROUND = "next_round", _("next round")
    NEXT_TASKS = "next_tasks", _("choose what to judge next")
    SIMULATE = "simulate_raters", _("simulate raters")
    MACHINE_JUDGE = "machine_judge", _("machine judge")
    DEMO = "make_demo", _("make a demo")
    IMPORT_PROMPTS = "import_prompts", _("import prompts")
    IMPORT_JUDGEMENTS = "import_judgements", _("import judgements")
    IMPORT_PREFERENCES = "import_preferences", _("import a file")


class RunState(models.TextChoices):
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class ModelKind(models.TextChoices):
    POLICY = "policy", _("policy")
    PREFERENCE = "preference", _("preference model")
