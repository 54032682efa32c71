"""The report on a trained preference model, with the auxiliary models trained for it: a linear baseline on the same
snapshot, and the same model on fewer judgements."""

import dataclasses
import random
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.exchange.exporters.records import records_of
from annotate.models.judgements import Judgement
from annotate.models.prompts import Response, Split
from annotate.models.studies import Study
from core.records import Record, pairs_of
from training.engine.runtime.progress import Reporter, SilentReporter
from training.models import Snapshot
from training.registry import snapshots

# The linear model holds features of all responses in memory.
MAX_RESPONSES = 50_000


@dataclass(frozen=True)
class Trained:
    """A trained model in `folder` with its data and configuration. A student learned from its teacher, not from
    votes."""

    study: Study
    snapshot: Snapshot
    base: str
    folder: Path
    config: Any
    learned_from_votes: bool = True

    def records(self, split: str) -> Iterator[Record]:
        return records_of(snapshots.judgements_of(self.snapshot, split))


class CancelOnlyReporter(SilentReporter):
    """A reporter for auxiliary models, which only forwards the cancellation of the run."""

    def __init__(self, reporter: Reporter) -> None:
        self.cancelled = reporter.cancelled  # type: ignore[method-assign]


def report_on(
    trained: Trained, reporter: Reporter, *, curve: int, explain: int
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The figures of evaluate_preference on the test split, and the report; None and {} when nothing is to be
    compared there. curve: points of the learning curve; explain: prompts whose rewards are told word by word."""
    from training.engine.evaluation.explanations import explanations
    from training.engine.evaluation.metrics import evaluate
    from training.engine.evaluation.report import CachedRewards, report
    from training.engine.models.reward import PreferenceModel

    records = list(records_of(Judgement.objects.counted().of_study(trained.study).in_split(Split.TEST)))
    if not pairs_of(records):
        return None, {}
    model = PreferenceModel.load(trained.folder)
    cached = CachedRewards(model)
    with tempfile.TemporaryDirectory(prefix="palate-report-") as parent:
        auxiliary = AuxiliaryModels(trained, Path(parent), reporter)
        report_values = report(
            cached,
            records,
            calibration=list(trained.records(Split.VALIDATION)),
            linear=auxiliary.linear(),
            seed=trained.config.seed,
        )
        report_values["counterfactuals"] = _counterfactuals(cached, records, trained.config.seed)
        report_values["learning_curve"] = auxiliary.curve(curve, records, report_values["overall"]) if curve else []
    report_values["explained"] = explanations(
        model, records, report_values["errors"], prompts=explain, seed=trained.config.seed
    )
    return evaluate(cached, records), report_values


def _counterfactuals(model: Any, records: list[Record], seed: int) -> list[dict[str, Any]]:
    """Return gaps in standard deviations of the held-out responses' rewards; none where all rewards are equal."""
    from training.engine.evaluation.counterfactuals import counterfactuals

    items = {(record.prompt, text) for record in records for text in record.responses}
    spread = statistics.pstdev(model.score(sorted(items)))
    return counterfactuals(model, spread, seed=seed) if spread > 0 else []


class AuxiliaryModels:
    """Models that are trained for the report only."""

    def __init__(self, trained: Trained, folder: Path, reporter: Reporter) -> None:
        self.trained, self.folder, self.reporter = trained, folder, reporter

    def linear(self) -> Any:
        """Return a bag-of-tokens model of the same snapshot, or None when that is the model itself or would be too
        large."""
        config = self.trained.config
        if config.kind == "linear" and not self.trained.base and self.trained.learned_from_votes:
            return None
        count = Response.objects.filter(prompt__study=self.trained.study).count()
        if count > MAX_RESPONSES:
            self.reporter.log(f"no linear baseline: {count} responses are more than {MAX_RESPONSES}")
            return None
        config = dataclasses.replace(config, kind="linear", ensemble=1, learning_rate=0.0)
        train, validation = (self.trained.records(split) for split in (Split.TRAIN, Split.VALIDATION))
        return self._model("linear", train, validation, "", config)

    def curve(self, points: int, test: list[Record], whole: dict[str, Any]) -> list[dict[str, Any]]:
        """Accuracy and log loss by the number of training judgements: each point has half of the next one's, drawn at
        random, and so of the validation split, from which linear models learn, too; the last is the model itself."""
        from training.engine.evaluation.report import overall

        judged, validation = (list(self.trained.records(split)) for split in (Split.TRAIN, Split.VALIDATION))
        for records in (judged, validation):
            random.Random(self.trained.config.seed).shuffle(records)
        rows = []
        for halvings in range(points - 1, 0, -1):
            count, held_out = (len(records) // 2**halvings for records in (judged, validation))
            model = self._model(
                f"curve-{count}", judged[:count], validation[:held_out], self.trained.base, self.trained.config
            )
            if model is not None:
                rows.append(_point(count, overall(model, test)))
                accuracy = rows[-1]["accuracy"]
                summary = f"accuracy {accuracy['value']:.3f}" if accuracy else "no pair has a majority"
                self.reporter.log(f"learning curve: {count} judgements, {summary}")
        return [*rows, _point(len(judged), whole)]

    def _model(self, name: str, records: Iterable[Record], validation: Iterable[Record], base: str, config: Any) -> Any:
        from training.engine.models.reward import PreferenceModel
        from training.engine.preference.training import train_preference
        from training.engine.runtime import distributed

        try:
            # Trainer would wait for the other processes, which have left the group.
            with distributed.single_process():
                train_preference(
                    records,
                    validation,
                    base_model=base,
                    output=self.folder / name,
                    config=dataclasses.replace(config, engine="palate"),
                    reporter=CancelOnlyReporter(self.reporter),
                )
        except ValueError as error:
            self.reporter.log(f"{name} is left out of the report: {error}")
            return None
        return PreferenceModel.load(self.folder / name)


def _point(judgements: int, figures: dict[str, Any]) -> dict[str, Any]:
    return {"judgements": judgements, "accuracy": figures["accuracy"], "log_loss": figures["log_loss"]}
