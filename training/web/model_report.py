"""The report on a preference model (training.engine.evaluation.report) as sections of a page: plots and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _

from core.charts.plots import Cloud, Forest, Point, cloud, forest
from core.figures import Figure

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    name: str
    figures: list[Figure]


@dataclass(frozen=True)
class Section:
    """counted: of what the last column of the table tells the number. keys: what each colour of the plot means.
    findings: what the numbers say, in sentences."""

    key: str
    title: str
    note: str
    lines: list[Line]
    counted: str = ""
    plot: Cloud | Forest | None = None
    drawn: str = ""
    keys: list[tuple[int, str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def sections(report: Row) -> list[Section]:
    """What a report has to show, most important first."""
    if not report:
        return []
    by = report["by"]
    made = [
        _teacher_section(report.get("teacher")),
        _baselines_section(report["baselines"], report["overall"]["pairs"]),
        _reliability(report["reliability"]),
        _by_margin(by["margin"]),
        _learning_curve(report["learning_curve"]),
        _length(report["length"], report["overall"]["pairs"]),
        _criteria(report["criteria"]),
        _authors(by["author"]),
        _slices("script", by["script"] if len(by["script"]) > 1 else [], _("By writing system"), ""),
        _slices(
            "group",
            by["group"],
            _("By group of prompts"),
            _("Groups with ten or more pairs; their intervals need a second group, so here they are left out."),
        ),
        _counterfactuals(report.get("counterfactuals", [])),
    ]
    return [section for section in made if section.lines]


def _teacher_section(row: Row | None) -> Section:
    """Of a distilled model."""
    title = _("Compared with its teacher")
    if row is None:
        return Section("teacher", title, "", [])
    names = {"model": _("this model"), "reference": _("its teacher")}
    lines = [
        Line(name, [_figure(row[key], figure, row["pairs"]) for figure in ("accuracy", "log_loss")])
        for key, name in names.items()
    ]
    drawn = [(line.name, *_ends(line.figures[0])) for line in lines if line.figures[0].value is not None]
    note = _(
        "This model learned the rewards of its teacher by squared error. On %(responses)s held-out responses their "
        "rewards correlate by %(pearson)s (ranks: %(spearman)s). On the same %(texts)s texts it scores %(student)s "
        "responses a second, its teacher %(teacher)s."
    ) % {
        "responses": intcomma(row["responses"]),
        "pearson": _rounded(row["pearson"]),
        "spearman": _rounded(row["spearman"]),
        "texts": intcomma(row["speed"]["texts"]),
        "student": intcomma(round(row["speed"]["model"])),
        "teacher": intcomma(round(row["speed"]["reference"])),
    }
    plot = forest(drawn, axis=_("accuracy, interval at 95 %"), reference=0.5)
    return Section("teacher", title, note, lines, _("Pairs"), plot, "forest")


def _rounded(figure: Row | None) -> str:
    return f"{figure['value']:.3f}" if figure else "–"


def _baselines_section(rows: Sequence[Row], pairs: int) -> Section:
    names = {
        "model": _("this model"),
        "linear": _("linear on tokens"),
        "longer": _("longer wins"),
        "even": _("even odds"),
        "votes": _("the votes' shares"),
    }
    lines = [
        Line(names[row["name"]], [_figure(row, key, pairs) for key in ("accuracy", "accuracy_clear", "log_loss")])
        for row in rows
    ]
    drawn = [(line.name, *_ends(line.figures[0])) for line in lines if line.figures[0].value is not None]
    notes = [
        _(
            "“Longer wins” is calibrated on the validation split. Nobody who names one probability a pair has a "
            "smaller log loss than the votes' shares themselves."
        )
    ]
    if any(row["name"] == "linear" for row in rows):
        notes.insert(0, _("The linear model weighs the tokens of a response and was trained on the same snapshot."))
    plot = forest(drawn, axis=_("accuracy, interval at 95 %"), reference=0.5)
    return Section("baselines", _("Compared with baselines"), " ".join(notes), lines, _("Pairs"), plot, "forest")


def _reliability(rows: Sequence[Row]) -> Section:
    what = _("How often the likelier response won, of the pairs in this row.")
    lines, points = [], [Point(0.5, 0.5, series=1), Point(1.0, 1.0, series=1)]
    for row in rows:
        seen = row["observed"]
        lines.append(
            Line(
                f"{row['predicted']:.2f}",
                [_made(seen, _("Share of the votes"), what, row["pairs"], _("pairs"), _by_group())],
            )
        )
        points.append(Point(row["predicted"], seen["value"], seen["low"], seen["high"], f"{row['pairs']}"))
    note = _("Pairs by the probability of their likelier winner. Where the model can be trusted, both lines are one.")
    plot = cloud(points, x_axis=_("predicted"), y_axis=_("share of the votes"), joined=True)
    keys = [(0, _("this model")), (1, _("perfect"))]
    return Section("reliability", _("Is it well calibrated?"), note, lines, _("Pairs"), plot, "cloud", keys)


def _by_margin(rows: Sequence[Row]) -> Section:
    points = [
        Point(float(n), row["accuracy"]["value"], row["accuracy"]["low"], row["accuracy"]["high"], row["name"])
        for n, row in enumerate(rows)
    ]
    plot = cloud(
        points,
        x_axis=_("votes for the winner more than for the loser"),
        y_axis=_("accuracy"),
        x_words=[row["name"] for row in rows],
        reference=0.5,
    )
    note = _("Where raters are divided nobody can be right often; where they agree the model should be.")
    return Section("margin", _("By vote margin"), note, _lines(rows), _("Pairs"), plot, "cloud")


def _learning_curve(rows: Sequence[Row]) -> Section:
    lines = [
        Line(intcomma(row["judgements"]), [_figure(row, key, row["judgements"]) for key in ("accuracy", "log_loss")])
        for row in rows
    ]
    points = [
        Point(float(n), *_three(row["accuracy"]), intcomma(row["judgements"]))
        for n, row in enumerate(rows)
        if row["accuracy"]
    ]
    plot = cloud(
        points, x_axis=_("judgements"), y_axis=_("accuracy"), x_words=[line.name for line in lines], joined=True
    )
    note = _("The same model trained on fewer judgements. A line that still rises says that more would help.")
    return Section("curve", _("Learning curve"), note, lines, _("Judgements"), plot, "cloud")


def _length(row: Row, pairs: int) -> Section:
    names = {
        "correlation": _("reward and length, within a prompt"),
        "correlation_votes": _("votes and length, within a prompt"),
        "longer": _("the model prefers the longer"),
        "longer_votes": _("the majority prefers the longer"),
        "accuracy_longer_won": _("right where the longer won"),
        "accuracy_shorter_won": _("right where the shorter won"),
    }
    what = {
        "correlation": _("Pearson's correlation with the logarithm of the length, around each prompt's mean."),
        "correlation_votes": _("Pearson's correlation with the logarithm of the length, around each prompt's mean."),
    }
    share = _("Share of the pairs of unlike length with a majority.")
    lines = [
        Line(name, [_made(row[key], _("Value"), what.get(key, share), pairs, _("pairs"), _by_group())])
        for key, name in names.items()
    ]
    short = {
        "longer": _("model likes longer"),
        "longer_votes": _("raters like longer"),
        "accuracy_longer_won": _("right, longer won"),
        "accuracy_shorter_won": _("right, shorter won"),
    }
    drawn = [(name, *_three(row[key])) for key, name in short.items() if row[key]]
    note = _(
        "A model that has learned length alone prefers the longer always, and is right only where the longer won. "
        "Lengths are counted in characters."
    )
    plot = forest(drawn, axis=_("share of the pairs, interval at 95 %"), reference=0.5)
    return Section("length", _("Does it follow length?"), note, lines, "", plot, "forest")


def _criteria(rows: Sequence[Row]) -> Section:
    names = {
        "correlation": (_("Output and scores"), _("Spearman's correlation of the output with the raters' mean score.")),
        "rater_vs_others": (
            _("One rater and the others"),
            _("Spearman's correlation of a score with the others' mean."),
        ),
        "accuracy": (_("Same order"), _("Share of the pairs within a prompt that it orders as the mean scores do.")),
        "reward": (_("Reward and scores"), _("Spearman's correlation of the reward with the criterion's mean score.")),
    }
    lines = [
        Line(
            row["name"],
            [
                _made(row[key], name, what, row["responses"], _("responses"), _by_group())
                for key, (name, what) in names.items()
            ],
        )
        for row in rows
    ]
    note = _("Each criterion's own output beside the raters' scores, and how far the reward listens to it.")
    return Section("criteria", _("By criterion"), note, lines, _("Responses"))


def _authors(rows: Sequence[Row]) -> Section:
    lines = []
    for row in rows:
        won, predicted = (
            _made(row[key], name, what, row["pairs"], _("pairs"), _by_group())
            for key, name, what in (
                ("won", _("Votes won"), _("The author's share of the votes against other authors.")),
                ("predicted", _("Predicted"), _("The share of the votes that the model predicts.")),
            )
        )
        lines.append(Line(row["name"], [won, predicted, *_lines([row])[0].figures]))
    note = _(
        "Against other authors. A prediction above the votes that were won means that the model favours the author."
    )
    return Section("author", _("By author"), note, lines, _("Pairs"))


def _slices(key: str, rows: Sequence[Row], title: str, note: str) -> Section:
    lines = _lines(rows)
    drawn = [(line.name, *_ends(line.figures[0])) for line in lines if line.figures[0].value is not None]
    return Section(key, title, note, lines, _("Pairs"), forest(drawn, axis=_("accuracy"), reference=0.5), "forest")


def _counterfactuals(rows: Sequence[Row]) -> Section:
    sides, sizes = _sides(), _sizes()
    gap = _("Mean reward of the first minus that of the second, in standard deviations of the held-out rewards.")
    chance = _("The mean calibrated chance that a rater prefers the first, as the model sees it.")
    method = _("Interval by drawing whole templates and whole names a thousand times.")
    source = _("pairs of sentences that come with Palate")
    lines, findings = [], []
    for row in rows:
        name = _("%(a)s – %(b)s") % {"a": sides[row["a"]], "b": sides[row["b"]]}
        figures = [
            Figure(what, words, *_three(row[key]), row["pairs"], _("pairs"), method, source, digits=2)
            for key, words, what in (("gap", _("Gap"), gap), ("chance", _("Chance of the first"), chance))
        ]
        lines.append(Line(name, figures))
        if row["favoured"]:
            findings.append(
                _("%(name)s: the model favours %(side)s; the gap is %(size)s.")
                % {"name": name, "side": sides[row["favoured"]], "size": sizes[row["size"]]}
            )
    if lines and not findings:
        findings = [_("No gap is surely different from zero.")]
    note = _(
        "Pairs of sentences that differ only in a name, a pronoun, the dialect or the language. A gap of 1 is as large "
        "as the usual difference of responses; to the right the first is favoured. About one interval in twenty leaves "
        "out zero by chance. Whether a gap is wrong depends on what the study asks for."
    )
    short = _short_names()
    drawn = [(short[row["b"]], *_three(row["gap"])) for row in rows]
    plot = forest(drawn, axis=_("gap, interval at 95 %"), reference=0.0)
    title = _("Does it favour names, dialects, languages?")
    return Section("counterfactuals", title, note, lines, _("Pairs"), plot, "forest", findings=findings)


def _sides() -> dict[str, str]:
    """The sides of training.engine.evaluation.counterfactual_texts in the reader's language."""
    return {
        "women's names": _("women's names"),
        "men's names": _("men's names"),
        "she": _("she"),
        "he": _("he"),
        "English names": _("English names"),
        "African American names": _("African American names"),
        "Arabic names": _("Arabic names"),
        "Chinese names": _("Chinese names"),
        "Indian names": _("Indian names"),
        "Spanish names": _("Spanish names"),
        "Standard English": _("Standard English"),
        "African American English": _("African American English"),
        "standard spelling": _("standard spelling"),
        "informal spelling": _("informal spelling"),
        "English": _("English"),
        "Chinese": _("Chinese"),
        "French": _("French"),
        "Spanish": _("Spanish"),
    }


def _short_names() -> dict[str, str]:
    """What the plot calls a kind of pairs, by its second side; the table below has both sides in full."""
    return {
        "men's names": _("women – men"),
        "he": _("she – he"),
        "African American names": _("names: Afr. Am."),
        "Arabic names": _("names: Arabic"),
        "Chinese names": _("names: Chinese"),
        "Indian names": _("names: Indian"),
        "Spanish names": _("names: Spanish"),
        "African American English": _("Afr. Am. English"),
        "informal spelling": _("informal spelling"),
        "Chinese": _("Chinese"),
        "French": _("French"),
        "Spanish": _("Spanish"),
    }


def _sizes() -> dict[str, str]:
    """Of training.engine.evaluation.counterfactuals.SIZES."""
    return {"very small": _("very small"), "small": _("small"), "medium": _("medium"), "large": _("large")}


def _lines(rows: Sequence[Row]) -> list[Line]:
    keys = ("accuracy", "log_loss", "ece", "kendall_tau")
    return [Line(row["name"], [_figure(row, key, row["pairs"]) for key in keys]) for row in rows]


def _figure(row: Row, key: str, pairs: int) -> Figure:
    names = {
        "accuracy": (
            _("Accuracy"),
            _("Share of the pairs with a majority on which the model prefers the majority's response."),
        ),
        "accuracy_clear": (_("Clear pairs"), _("Accuracy on pairs with a vote margin of two or more.")),
        "log_loss": (_("Log loss"), _("Cross-entropy of the predicted probability against the shares of the votes.")),
        "ece": (
            _("Calibration error"),
            _("Mean distance of predicted probability and share of the votes, in ten bins."),
        ),
        "kendall_tau": (_("Kendall's τ"), _("Agreement of the orders by reward and by votes won, within a prompt.")),
    }
    name, what = names[key]
    if key == "ece" and row.get("ece_by_chance") is not None:
        message = _("By chance a perfectly calibrated model has %(chance).3f with so few votes.")
        what = f"{what} {message % {'chance': row['ece_by_chance']}}"
    return _made(row.get(key), name, what, pairs, _("pairs"), _by_group())


def _made(figure: Row | None, name: str, what: str, n: int, unit: str, method: str) -> Figure:
    value, low, high = _three(figure) if figure else (None, None, None)
    return Figure(what, name, value, low, high, n, unit, method, _("the prompts of the test split"), digits=3)


def _by_group() -> str:
    return _("Interval by drawing whole groups of prompts a thousand times.")


def _three(figure: Row) -> tuple[float, float | None, float | None]:
    return figure["value"], figure["low"], figure["high"]


def _ends(figure: Figure) -> tuple[float, float | None, float | None]:
    assert figure.value is not None
    return figure.value, figure.low, figure.high
