"""Distil a preference model into a small one that scores many times as many responses a second."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.exchange.exporters.records import items_of, records_of
from annotate.models.judgements import Judgement
from annotate.models.prompts import Response, Split
from annotate.models.studies import Study
from core.errors import PalateError
from core.revision import revision
from training.engine.data.observations import Item
from training.engine.runtime.progress import Reporter
from training.jobs.corpora import Corpus, check_corpus
from training.jobs.preference_report import Trained, report_on
from training.models import ModelKind, Run
from training.registry import card_files, cards, model_versions, snapshots
from training.runs.job import Job, needed, study_of
from training.runs.options import option


@dataclass(frozen=True)
class Options:
    teacher: str = option(
        label=gettext_lazy("Teacher model"),
        help=gettext_lazy("the preference model to learn from"),
        of_model="preference",
    )
    kind: str = option(
        "linear",
        label=gettext_lazy("Student type"),
        help=gettext_lazy("type of the student"),
        choices=("linear", "cnn", "rnn"),
    )
    corpus: str = option(
        "",
        label=gettext_lazy("Corpus"),
        help=(
            "additional texts for the teacher to score, besides the study's responses: files, separated by commas, as"
            " for --corpus of pretrain"
        ),
        commands_only=True,
    )
    texts: int = option(
        20_000,
        label=gettext_lazy("Maximum number of texts"),
        help=gettext_lazy("maximum number of texts to learn from, sampled at random"),
        minimum=2,
        maximum=1_000_000,
    )
    num_epochs: int = option(
        8,
        label=gettext_lazy("Number of epochs"),
        help=gettext_lazy("passes over the texts, for the kinds cnn and rnn"),
        minimum=1,
    )
    max_length: int = option(
        256,
        label=gettext_lazy("Maximum length (tokens)"),
        help=gettext_lazy("maximum length of prompt and response together, in tokens"),
        minimum=8,
        maximum=8192,
    )
    seed: int = option(
        0,
        label=gettext_lazy("Random seed"),
        help=gettext_lazy("seed of the sample, the weights and the batches"),
    )
    explain: int = option(
        8,
        label=gettext_lazy("Explained prompts"),
        help=gettext_lazy("number of held-out prompts whose rewards the report explains word by word"),
        minimum=0,
        maximum=200,
        advanced=gettext_lazy("Report"),
    )
    output: str = option(
        "",
        label=gettext_lazy("Output folder"),
        help="folder to save the model in (default: one under var/models)",
    )
    name: str = option(
        "",
        label=gettext_lazy("Name"),
        help=gettext_lazy("name of the model version"),
    )


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    model_versions.locate(study, options.teacher, flag="--teacher", kind=ModelKind.PREFERENCE)
    model_versions.check_output(options.output)
    if options.corpus:
        check_corpus(study, options.corpus)
    elif not _responses(study, Split.TRAIN).exists():
        message = _("study %(study)s has no responses to prompts of its train split; give texts by --corpus")
        raise PalateError(message % {"study": study.slug})
    if not Judgement.objects.counted().of_study(study).in_split(Split.VALIDATION).exists():
        message = _("study %(study)s has no judgements in its validation split, on which the student is calibrated")
        raise PalateError(message % {"study": study.slug})


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    from training.engine.evaluation.comparison import compare, speeds
    from training.engine.models.reward import PreferenceModel
    from training.engine.preference.distillation import distil
    from training.engine.preference.training import PreferenceConfig

    study = study_of(run)
    path = model_versions.locate(study, options.teacher, flag="--teacher", kind=ModelKind.PREFERENCE)
    parent = model_versions.register(study=study, kind=ModelKind.PREFERENCE, path=path)
    snapshot = snapshots.of_run(run, study)
    held_out, clusters = _held_out(study)
    train = _train(study, options, held_out)
    config = PreferenceConfig(
        kind=options.kind,
        num_epochs=options.num_epochs,
        max_length=options.max_length,
        seed=options.seed,
        criterion_weights={criterion.key: criterion.weight for criterion in study.criteria.all()},
    )
    teacher = PreferenceModel.load(path)
    output = model_versions.output_folder(run, options.output)
    with model_versions.saved_whole(output) as folder:
        metrics = distil(
            teacher,
            train,
            _items(_responses(study, Split.VALIDATION)),
            records_of(snapshots.judgements_of(snapshot, Split.VALIDATION)),
            output=folder,
            config=config,
            reporter=reporter,
        )
        student = PreferenceModel.load(folder)
        tested = list(records_of(Judgement.objects.counted().of_study(study).in_split(Split.TEST)))
        comparison = compare(student, teacher, tested, held_out, clusters, seed=options.seed)
        comparison["speed"] = speeds(student, teacher, [*held_out, *train])
        trained = Trained(study, snapshot, "", folder, config, learned_from_votes=False)
        metrics["evaluation"], report = report_on(trained, reporter, curve=0, explain=options.explain)
        if report:
            report["teacher"] = comparison
        metrics |= {"teacher": comparison, "snapshot": snapshot.sha256, "revision": revision()}
        card = cards.student_card(options.name or output.name, study, snapshot, parent.name, options.kind, metrics)
        facts = cards.preference_facts(study, snapshot, "", metrics)
        card_files.write(folder, options.name or output.name, card, facts)
        model_versions.write_papers(folder, training=metrics, report=report)
    version = model_versions.register(
        study=study,
        kind=ModelKind.PREFERENCE,
        path=str(output),
        name=options.name,
        run=run,
        snapshot=snapshot,
        parent=parent,
        metrics=metrics,
        report=report,
        card=card,
    )
    reporter.log(cards.format_comparison("teacher", comparison))
    return {"model": str(output), "model_version": version.pk, **metrics}


def _train(study: Study, options: Options, held_out: list[Item]) -> list[Item]:
    """What the student learns from: responses of the train split, and the corpus without texts of the test split."""
    items = _items(_responses(study, Split.TRAIN))
    if options.corpus:
        tested = {text for _, text in held_out}
        documents = Corpus(study, options.corpus, documents=0, seed=options.seed)
        items += [(document.prompt, document.text) for document in documents if document.text not in tested]
    items = list(dict.fromkeys(items))
    return random.Random(options.seed).sample(items, min(options.texts, len(items)))


def _held_out(study: Study) -> tuple[list[Item], list[str]]:
    """The responses to prompts of the test split, and the group of each: its prompt where that has none."""
    responses = _responses(study, Split.TEST)
    groups = responses.values_list("prompt__group", "prompt__external_id")
    return list(items_of(responses)), [group or prompt for group, prompt in groups]


def _responses(study: Study, split: str) -> Any:
    return Response.objects.filter(prompt__study=study, prompt__split=split).order_by("prompt_id", "id")


def _items(responses: Any) -> list[Item]:
    return list(dict.fromkeys(items_of(responses)))


JOB = Job(
    Options, check, perform, gettext_lazy("Distil a preference model into a small, fast one that learns its rewards.")
)
