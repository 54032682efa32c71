"""Let a machine judge the study's pairs, in both orders: a causal model, or an OpenAI-compatible endpoint."""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Count
from django.utils.translation import gettext, gettext_lazy

from annotate.collection.machine_judgements import machine_rater, store_verdicts, unjudged_pairs
from annotate.models.choices import Kind
from annotate.models.studies import Study
from annotate.models.tasks import Task
from core.errors import PalateError
from training.engine.runtime.progress import Cancelled, Reporter
from training.models import ModelKind, Run
from training.registry import model_versions
from training.runs.job import Job, needed, study_of
from training.runs.options import option

if TYPE_CHECKING:
    from training.engine.generation.sampling import Policy

ENDPOINT_SECONDS = 120
Judge = Callable[[Sequence[str]], list[float]]  # questions to the chance of A


@dataclass(frozen=True)
class Options:
    model: str = option(
        "",
        label=gettext_lazy("Model"),
        help=gettext_lazy("the judge, a causal model"),
        of_model="policy",
    )
    endpoint_model: str = option(
        "",
        label=gettext_lazy("Endpoint model"),
        help=gettext_lazy("alternatively the name of a model at the endpoint JUDGE_URL"),
        setting="JUDGE_URL",
    )
    limit: int = option(
        500,
        label=gettext_lazy("Maximum number of pairs"),
        help=gettext_lazy("maximum number of pairs; those that people judged come first"),
        minimum=1,
    )


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    if bool(options.model) == bool(options.endpoint_model):
        raise PalateError(gettext("give either --model or --endpoint-model, not both and not neither"))
    if options.endpoint_model and not settings.JUDGE_URL:
        message = gettext("--endpoint-model needs the setting JUDGE_URL: the address of an OpenAI-compatible server")
        raise PalateError(message)
    if options.model:
        model_versions.locate(study, options.model, flag="--model", kind=ModelKind.POLICY)
    if not Task.objects.filter(study=study).annotate(size=Count("places")).filter(size=2).exists():
        message = gettext("study %(study)s has no tasks of two responses")
        raise PalateError(message % {"study": study.slug})


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    from training.engine.data.formatting import truncation
    from training.engine.generation.judging import question

    study = study_of(run)
    judge, name, policy = _judge(study, options)
    rater = machine_rater(study=study, name=name)
    tasks = unjudged_pairs(rater=rater, limit=options.limit)
    reporter.log(f"{name} judges {len(tasks)} pairs, each in both orders")
    for done, task in enumerate(tasks, start=1):
        if reporter.cancelled():
            raise Cancelled
        a, b = (place.response for place in task.places.all())
        questions = [question(study.instructions, task.prompt.text, x.text, y.text) for x, y in ((a, b), (b, a))]
        forward, backward = judge(questions)
        store_verdicts(rater=rater, task=task, shown=[a.pk, b.pk], forward=forward, backward=backward)
        reporter.progress(done, len(tasks))
    truncated = len(policy.truncated) if policy else 0
    if policy and truncated:
        reporter.log(truncation(truncated, 2 * len(tasks), policy.context, "questions"))
    return {"judge": name, "kind": str(Kind.MACHINE), "pairs": len(tasks), "truncated": truncated}


def _judge(study: Study, options: Options) -> "tuple[Judge, str, Policy | None]":
    """Who judges, its name, and the model where it is one of this machine."""
    if options.endpoint_model:
        return lambda asked: [ask(options.endpoint_model, text) for text in asked], options.endpoint_model, None
    from training.engine.generation.judging import prefer_first
    from training.engine.generation.sampling import load_policy

    path = model_versions.locate(study, options.model, flag="--model", kind=ModelKind.POLICY)
    policy = load_policy(path)
    return lambda asked: prefer_first(policy, asked), options.model, policy


def ask(model: str, text: str) -> float:
    """The endpoint's chance of A among A and B: from the log-probabilities of the first token where it gives them,
    else 1, 0, or one half for an answer that is neither. Raises PalateError when it cannot be asked."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 20,
    }
    headers = {"Content-Type": "application/json"}
    if settings.JUDGE_KEY:
        headers["Authorization"] = f"Bearer {settings.JUDGE_KEY}"
    address = settings.JUDGE_URL.rstrip("/") + "/chat/completions"
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=ENDPOINT_SECONDS) as answer:
            choice = json.load(answer)["choices"][0]
            return _chance(choice)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise PalateError(f"JUDGE_URL {address}: {error}") from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        message = gettext("JUDGE_URL %(address)s: the answer is no chat completion")
        raise PalateError(message % {"address": address}) from None


def _chance(choice: Mapping[str, Any]) -> float:
    weight = {"A": 0.0, "B": 0.0}
    content = (choice.get("logprobs") or {}).get("content") or []
    for token in content[0]["top_logprobs"] if content else []:
        letter = token["token"].strip().upper()
        if letter in weight:
            weight[letter] += math.exp(float(token["logprob"]))
    if total := sum(weight.values()):
        return weight["A"] / total
    letter_answer = (choice["message"]["content"] or "").strip().upper()[:1]
    return {"A": 1.0, "B": 0.0}.get(letter_answer, 0.5)


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy("Judge the study's pairs by machine in both orders, separately from people's votes."),
)
