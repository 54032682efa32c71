from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.utils import translation

from annotate.management.arguments import account_named, scale_argument
from annotate.models.studies import Method
from annotate.studies.operations import create_study
from annotate.studies.templates import BY_KEY
from core.command import PalateCommand
from core.errors import PalateError
from training.demo.cases import CASES, LANGUAGES
from training.jobs import make_demo
from training.management.demo_studies import run_job
from training.models import RunKind
from training.runs.options import parse


class Command(PalateCommand):
    help = "Make a study. Pages do the same; this is for scripts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("study", help="short name, used in addresses and commands")
        parser.add_argument("--name", default="", help="name on the pages (default: the short name)")
        parser.add_argument("--template", choices=list(BY_KEY), help="a study to start from; other flags change it")
        parser.add_argument("--method", choices=Method.values, help="how new tasks are judged (default: compare)")
        parser.add_argument("--replication", type=int, default=3, help="raters per task (default: 3)")
        for split in ("validation", "test"):
            parser.add_argument(
                f"--{split}-share",
                type=float,
                default=0.15,
                help=f"share of prompts in the {split} split (default: 0.15)",
            )
        parser.add_argument("--instructions", default="", help="what the raters read first")
        parser.add_argument("--owner", default="", metavar="USERNAME", help="account that owns the study")
        parser.add_argument(
            "--criterion",
            type=scale_argument,
            action="append",
            default=[],
            metavar="KEY:MIN:MAX",
            help="a scale to score on; may be given several times",
        )

        demo = parser.add_argument_group("demo", "a study with something to rate at once; needs --template")
        demo.add_argument(
            "--demo",
            action="store_true",
            help="fill it: prompts of the template's own grammar, responses of a small model pretrained on the spot",
        )
        demo.add_argument(
            "--demo-language",
            choices=LANGUAGES,
            default="en",
            help="language of its texts and of the template's words (default: en)",
        )
        demo.add_argument("--demo-prompts", type=int, default=60, help="prompts to make (default: 60)")
        demo.add_argument("--demo-max-steps", type=int, default=200, help="optimiser steps of the model (default: 200)")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        demo = _demo(options) if options["demo"] else None
        owner = account_named(options["owner"])
        with translation.override("zh-hans" if options["demo_language"] == "zh" else None):
            study = create_study(slug=options["study"], owner=owner, **_fields(options))
        if demo:
            run_job(RunKind.DEMO, study, demo)
        self.stdout.write(f"study {study.slug} is there")
        return {"study": study.slug}


def _demo(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the run that makes the demo, checked before there is a study."""
    if options["template"] not in CASES:
        template = options["template"] or "nothing"
        raise PalateError(f"the template {template} has no demo; these have one: {', '.join(CASES)}")
    names = ("language", "prompts", "max_steps")
    demo = {"template": options["template"], **{name: options[f"demo_{name}"] for name in names}}
    try:
        make_demo.asked(parse(make_demo.Options, demo))
    except PalateError as error:
        # The run's options have longer names here.
        raise PalateError(str(error).replace("--", "--demo-", 1)) from None
    return demo


def _fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the template says, and above it what the flags say."""
    template = BY_KEY.get(options["template"])
    flags = {
        "name": options["name"] or (str(template.name) if template else options["study"]),
        "method": options["method"],
        "instructions": options["instructions"],
        "criteria": [{"key": key, "minimum": low, "maximum": high} for key, (low, high) in options["criterion"]],
    }
    shares = {name: options[name] for name in ("replication", "validation_share", "test_share")}
    return {**(template.fields() if template else {}), **{k: v for k, v in flags.items() if v}, **shares}
