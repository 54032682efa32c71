"""The demo: three studies of a small shop's answers, written by a model that is pretrained on the spot; in Chinese two
studies of templates, with the templates' own demos."""

import sys
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext, gettext_noop

from annotate.models.choices import Role
from annotate.models.members import Membership
from annotate.models.studies import Method, Study
from annotate.studies.operations import create_study
from annotate.studies.templates import BY_KEY
from training.demo import corpus
from training.demo.prompts import Asked
from training.jobs.make_demo import POLICY, add_prompts
from training.models import ModelVersion, Run, RunKind
from training.runs.execution import execute_run
from training.runs.operations import create_run

PASSWORD = "palate-demo"
ACCOUNTS = {
    "manager": gettext_noop("owns the demo studies"),
    "rater": gettext_noop("judges in them"),
    "rater2": gettext_noop("judges in them, too"),
}

INSTRUCTIONS = (
    "Customers of a small shop write in; an assistant answers.\n\n"
    "A good answer **opens warmly**, names the customer's **own item**, promises **one concrete step** and says "
    "**when**. It is not rude and says nothing twice.\n\n"
    "**An example.** A customer writes: *My kettle arrived damaged. What can I do?*\n\n"
    "- Good: *I am sorry about your kettle. We will send you a new one on Monday.*\n"
    "- Not good: *Things like this happen with the heater. Thank you for your patience.* It speaks of another item and "
    "promises nothing."
)
STUDIES: dict[str, dict[str, Any]] = {
    "demo-compare": {"name": "Shop answers: which is better?", "method": Method.COMPARE, "prompts": 320, "first": 0},
    "demo-score": {
        "name": "Shop answers: how good is each?",
        "method": Method.SCORE,
        "prompts": 40,
        "first": 320,
        "criteria": [
            {"key": "helpful", "name": "Helpful", "description": "Does it solve the customer's problem?",
             "minimum": 1, "maximum": 5, "labels": {"1": "not at all", "3": "partly", "5": "fully"}},
            {"key": "kind", "name": "Kind", "description": "Is the tone friendly?",
             "minimum": 1, "maximum": 5, "labels": {"1": "rude", "3": "neutral", "5": "warm"}},
        ],
    },
    "demo-rank": {"name": "Shop answers: put them in order", "method": Method.RANK, "prompts": 40, "first": 360},
}  # fmt: skip
# In Chinese, by the key of the template.
CHINESE = {"demo-service-zh": "service", "demo-writing-zh": "writing"}


def make_demo(language: str = "en") -> None:
    """Make accounts, policies, the studies of a language and their first tasks; what is there already stays."""
    users = {name: _account(name) for name in ACCOUNTS}
    if language == "zh":
        _in_chinese(users)
    else:
        _in_english(users)


def _in_chinese(users: Mapping[str, Any]) -> None:
    for slug, key in CHINESE.items():
        study = Study.objects.filter(slug=slug).first() or _study_in_chinese(slug, key, users)
        if not study.tasks.exists():
            run_job(RunKind.DEMO, study, {"template": key, "language": "zh"})


def _in_english(users: Mapping[str, Any]) -> None:
    policy = demo_policy()
    for slug, plan in STUDIES.items():
        study = Study.objects.filter(slug=slug).first() or _study(slug, plan, users)
        if not study.tasks.exists():
            run_job(
                RunKind.GENERATE,
                study,
                {"model": policy.path, "num_generations": 4 if plan["method"] != Method.RANK else 3},
            )


def demo_policy() -> ModelVersion:
    """The policy that writes the demo's responses, pretrained when there is none yet."""
    known = ModelVersion.objects.filter(study=None, name=POLICY).first()
    if known is None:
        run = run_job(RunKind.PRETRAIN, None, {"name": POLICY})
        known = ModelVersion.objects.get(pk=run.result["model_version"])
    return known


def run_job(kind: str, study: Study | None, values: Mapping[str, Any]) -> Run:
    """Do a job here and now, with its progress in the terminal."""
    run = create_run(kind=kind, study=study, values=values)
    return execute_run(run=run, terminal=sys.stderr, reraise=True)


def make_loop_study(*, prompts: int) -> Study:
    """A fresh study like demo-compare for one run of `manage.py loop`, with a free short name."""
    users = {name: _account(name) for name in ACCOUNTS}
    number = Study.objects.filter(slug__startswith="loop-").count() + 1
    while Study.objects.filter(slug=f"loop-{number}").exists():
        number += 1
    plan = {**STUDIES["demo-compare"], "name": f"Loop {number}: shop answers", "prompts": prompts}
    return _study(f"loop-{number}", plan, users)


def _account(name: str) -> Any:
    user, made = get_user_model().objects.get_or_create(username=name, defaults={"is_staff": name == "manager"})
    if made:
        user.set_password(PASSWORD)
        user.save()
    return user


@transaction.atomic
def _study(slug: str, plan: Mapping[str, Any], users: Mapping[str, Any]) -> Study:
    study = create_study(
        slug=slug,
        name=plan["name"],
        method=plan["method"],
        owner=users["manager"],
        replication=2,
        instructions=INSTRUCTIONS,
        criteria=plan.get("criteria", []),
    )
    _raters_of(study, users)
    texts = corpus.prompts(plan["first"] + plan["prompts"])[plan["first"] :]
    add_prompts(study, [Asked(text) for text in texts])
    return study


@transaction.atomic
def _study_in_chinese(slug: str, key: str, users: Mapping[str, Any]) -> Study:
    template = BY_KEY[key]
    with translation.override("zh-hans"):
        name = gettext("%(template)s, a demo") % {"template": template.name}
        fields = {**template.fields(), "replication": 2}
        study = create_study(slug=slug, name=name, owner=users["manager"], **fields)
    _raters_of(study, users)
    return study


def _raters_of(study: Study, users: Mapping[str, Any]) -> None:
    for name in ("rater", "rater2"):
        Membership.objects.create(study=study, user=users[name], role=Role.RATER)
