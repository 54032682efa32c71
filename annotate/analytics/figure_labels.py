"""What the figures of quality are, in words, and what to do where a check finds something."""

from dataclasses import dataclass
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from annotate.analytics.bias.checks import Check
from core.figures import Figure
from core.statistics.bootstrap import FEWEST, Estimate

BY_TASK = _("95 % percentile bootstrap of tasks")
BY_PROMPT = _("95 % percentile bootstrap of prompts")
BY_RATER = _("95 % percentile bootstrap of raters")

# key: (short name, what it is, of how many, method, why it may be missing)
FIGURES: dict[str, tuple[Any, Any, Any, Any, Any]] = {
    "raw": (
        _("raw agreement"),
        _("The share of pairs of raters who say the same of the same two responses; a tie is an answer of its own"),
        _("pairs of answers"),
        format_lazy("{}; {}", _("count of pairs"), BY_TASK),
        _("not yet, because no two raters have judged the same task"),
    ),
    "alpha-nominal": (
        _("Krippendorff's α, choices"),
        _("Agreement beyond what chance would bring: 1 is perfect, 0 is chance; below 0.67 is weak for hard labels"),
        _("answers"),
        format_lazy("{}; {}", _("Krippendorff 2011, nominal"), BY_TASK),
        _("not yet, because no two raters have judged the same task, or all answers are alike"),
    ),
    "alpha-ranks": (
        _("Krippendorff's α, ranks"),
        _(
            "Agreement on the ranks of responses beyond chance; a small difference of ranks counts less than a large "
            "one"
        ),
        _("answers"),
        format_lazy("{}; {}", _("Krippendorff 2011, ordinal"), BY_TASK),
        _("not yet, because no two raters have ranked the same task"),
    ),
    "alpha-scores": (
        _("Krippendorff's α, scores"),
        _("Agreement on the scores beyond chance; a small difference counts less than a large one"),
        _("scores"),
        format_lazy("{}; {}", _("Krippendorff 2011, ordinal"), BY_TASK),
        _("not yet, because no two raters have scored the same response, or all scores are alike"),
    ),
    "alpha-labels": (
        _("Krippendorff's α, labels"),
        _("Agreement on the labels of prompts beyond chance: 1 is perfect, 0 is chance"),
        _("labels"),
        format_lazy("{}; {}", _("Krippendorff 2011, nominal"), BY_PROMPT),
        _("not yet, because no two raters have labelled the same prompt, or all labels are alike"),
    ),
    "label": (
        _("agreement on it"),
        _("Where one rater chose this label, the share of the other raters of the prompt who chose it too"),
        _("labels"),
        format_lazy("{}; {}", _("specific agreement, Cicchetti & Feinstein 1990"), BY_PROMPT),
        _("not yet, because no second rater has labelled a prompt that has this label"),
    ),
    "label-known": (
        _("known answers met"),
        _("Of the answers to tasks whose known label this is, the share that chose it"),
        _("answers"),
        format_lazy("{}; {}", _("share"), BY_RATER),
        _("not yet, because no task that checks raters has this label"),
    ),
    "confidence": (
        _("confidence"),
        _("How sure raters are who chose this label: 1 a guess, 2 fairly sure, 3 sure"),
        _("labels"),
        format_lazy("{}; {}", _("mean"), BY_PROMPT),
        _("not asked for"),
    ),
    "chrf-choice": (
        _("chrF prefers the same"),
        _("How often the response that a rater prefers is also the one closer to the reference, ties left out"),
        _("comparisons"),
        format_lazy("{}; {}", _("share; chrF, Popović 2015"), BY_TASK),
        _("not yet, because no comparison has a winner and two different chrF"),
    ),
    "chrf-score": (
        _("chrF against the score"),
        _("Whether responses closer to the reference get higher scores: 1 always, 0 no connection, −1 the reverse"),
        _("responses"),
        format_lazy("{}; {}", _("Spearman's correlation of mean score and chrF, Popović 2015"), BY_PROMPT),
        _("not yet, because fewer than three scored responses have a reference, or all are alike"),
    ),
    "same-score": (
        _("same score"),
        _("The share of pairs of raters who give a response exactly the same score"),
        _("pairs of scores"),
        format_lazy("{}; {}", _("count of pairs"), BY_TASK),
        _("not yet, because no two raters have scored the same response"),
    ),
    "w-scores": (
        _("Kendall's W, scores"),
        _("How alike raters order the same responses by their scores: 1 is the same order by all"),
        _("tasks"),
        format_lazy("{}; {}", _("Kendall & Babington Smith 1939, corrected for ties, mean over tasks"), BY_TASK),
        _("not yet, because no two raters have scored the responses of one task"),
    ),
    "w": (
        _("Kendall's W"),
        _("How alike raters rank the same responses: 1 is the same order by all; m raters at random have 1/m"),
        _("tasks"),
        format_lazy("{}; {}", _("Kendall & Babington Smith 1939, corrected for ties, mean over tasks"), BY_TASK),
        _("not yet, because no two raters have ranked the same task"),
    ),
    "consistency": (
        _("self-consistency"),
        _("How often raters say the same when a task comes back in the reverse order"),
        _("comparisons"),
        _("share; 95 % percentile bootstrap of prompts"),
        _("not yet, because no task has been shown a second time (settings: share of tasks shown a second time)"),
    ),
    "gold": (
        _("known answers right"),
        _("The share of answers to tasks with a known answer that agree with it"),
        _("answers"),
        format_lazy("{}; {}", _("share"), BY_RATER),
        _("not yet, because no task with a known answer has been judged"),
    ),
    "adjudication": (
        _("agreement with the expert"),
        _(
            "The share of raters' comparisons that say what an expert decided of the same disputed task; disputed "
            "tasks are the hard ones"
        ),
        _("comparisons"),
        format_lazy("{}; {}", _("share"), BY_TASK),
        _("not yet, because no expert has decided a task (Review)"),
    ),
}

# key: (name, what the figure is, unit, method, digits)
CHECKS: dict[str, tuple[Any, Any, Any, Any, int]] = {
    "position": (
        _("Left or right"),
        _("How often the response shown first is preferred, ties left out; 0.5 without a habit"),
        _("comparisons"),
        format_lazy("{}; {}", _("share, orders of a pair balanced"), BY_TASK),
        3,
    ),
    "ends": (
        _("First or last"),
        _("How often, in rankings, the response shown first beats the one shown last; 0.5 without a habit"),
        _("rankings"),
        format_lazy("{}; {}", _("share"), BY_TASK),
        3,
    ),
    "length": (
        _("Length"),
        _("How often the longer response is preferred, ties left out; 0.5 where length does not matter"),
        _("comparisons"),
        format_lazy("{}; {}", _("share"), BY_TASK),
        3,
    ),
    "fatigue": (
        _("Fatigue within a session"),
        _(
            "Change of the agreement with other raters each time the number of answers in a session doubles; 0 "
            "without fatigue"
        ),
        _("comparisons"),
        format_lazy(
            "{}; {}",
            _("slope within raters on the log of the place in the session (pauses of 30 minutes part sessions)"),
            BY_RATER,
        ),
        4,
    ),
    "rounds": (
        _("Order of rounds"),
        _(
            "Win rate of a round's new policy among raters who judged the round before, minus that among those who "
            "did not"
        ),
        _("comparisons"),
        format_lazy("{}; {}", _("difference of shares"), BY_RATER),
        3,
    ),
    "skips": (
        _("Skips and length"),
        _(
            "How much longer skipped tasks are than answered ones, in doublings of the length; 0 where skips hang on "
            "nothing"
        ),
        _("skips"),
        format_lazy("{}; {}", _("difference of mean log2 characters"), BY_TASK),
        2,
    ),
    "skipped-agreement": (
        _("Skips and difficulty"),
        _(
            "Agreement of two raters on tasks that somebody skipped, minus that on others; 0 where skips hang on "
            "nothing"
        ),
        _("comparisons"),
        format_lazy("{}; {}", _("difference of shares"), BY_TASK),
        3,
    ),
}

NOT_YET = {
    "nothing": _("Not yet, because nobody has judged anything here."),
    "no-decided": _("not yet, because no answer prefers one response"),
    "no-random-order": _(
        "cannot be tested: every imported task was shown in one order only, which mixes place and quality"
    ),
    "one-by-one": _("cannot be tested: responses were judged one by one, so none was shown before another"),
    "no-pairs": _("not yet, because nobody has preferred one of two responses"),
    "no-rankings": _("not yet, because no ranking of three or more has been made in a random order"),
    "no-others": _("not yet, because no two raters have judged the same task"),
    "no-sessions": _("not yet, because nobody has given two answers within a session"),
    "no-rounds": _("not yet, because no later round was judged both by raters of the round before and by others"),
    "no-skips": _("not yet, because no task was skipped (or none that others judged)"),
}

# key: (below what is expected, above it): what is there, and what to do.
ADVICE = {
    "position": (
        _(
            "The response shown last wins more often than it should. Orders are drawn by lot, so standings stay fair "
            "on average; control for the place in the standings and when training, and remind raters to read both."
        ),
        _(
            "The response shown first wins more often than it should. Orders are drawn by lot, so standings stay "
            "fair on average; control for the place in the standings and when training, and remind raters to read "
            "both."
        ),
    ),
    "ends": (
        _("Responses at the end of a ranking are favoured. Rank fewer at once, or compare pairs."),
        _("Responses at the top of a ranking are favoured. Rank fewer at once, or compare pairs."),
    ),
    "length": (
        _(
            "Shorter responses win more often. They may be better, or easier: rank with length taken out and see "
            "what is left; a preference model will learn it either way."
        ),
        _(
            "Longer responses win more often. They may be better, or only longer: rank with length taken out and see "
            "what is left. A policy tuned on these judgements will write longer; hold the length against it."
        ),
    ),
    "fatigue": (
        _(
            "Agreement falls as a session goes on. Ask for breaks earlier (settings), cap the judgements of a rater, "
            "or give more weight to early answers."
        ),
        _(
            "Agreement rises as a session goes on: raters warm up. Give new raters practice tasks before the first "
            "vote."
        ),
    ),
    "rounds": (
        _(
            "Raters who know the round before like the new policy less than new raters do. Compare rounds by raters "
            "who saw both, or by new raters alone."
        ),
        _(
            "Raters who know the round before like the new policy more than new raters do. Compare rounds by raters "
            "who saw both, or by new raters alone."
        ),
    ),
    "skips": (
        _(
            "Short tasks are skipped more. What is skipped is not missing at random: read the reasons (Raters), and "
            "hand skipped tasks to other raters."
        ),
        _(
            "Long tasks are skipped more. What is skipped is not missing at random: results speak for shorter texts. "
            "Shorten the responses, pay by length, or hand skipped tasks to other raters."
        ),
    ),
    "skipped-agreement": (
        _(
            "Skipped tasks are the ones on which raters disagree. Agreement is flattered by skips: let an expert "
            "decide skipped tasks (Review)."
        ),
        _("Raters agree more on tasks that somebody skipped. Skips hit easy tasks: read the reasons (Raters)."),
    ),
}


@dataclass(frozen=True)
class Line:
    """A row of a table of figures."""

    name: str
    figures: list[Figure]


@dataclass(frozen=True)
class Table:
    """key: of the part of the page."""

    key: str
    lines: list[Line]


def _method(words: Any, estimate: Estimate) -> str:
    """How the number was found, and why it has no interval where it has none."""
    if estimate.value is None or estimate.low is not None:
        return str(words)
    few = _("no interval, because there are fewer than %(n)d tasks or raters to draw from")
    return f"{words}; {few % {'n': FEWEST}}"


def figure(key: str, estimate: Estimate, *, source: str = "") -> Figure:
    name, what, unit, method, missing = FIGURES[key]
    return Figure(
        what=str(what),
        name=str(name),
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        unit=str(unit),
        method=_method(method, estimate),
        source=source,
        missing=str(missing),
    )


@dataclass(frozen=True)
class CheckReport:
    """A check in words. advice: what is there and what to do; empty where nothing is found."""

    name: str
    figure: Figure
    found: bool
    advice: str


def describe_check(check: Check, *, source: str = "") -> CheckReport:
    name, what, unit, method, digits = CHECKS[check.key]
    estimate = check.estimate
    number = Figure(
        what=str(what),
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        unit=str(unit),
        method=_method(method, estimate),
        source=source,
        missing=str(NOT_YET.get(check.missing, "")),
        digits=digits,
    )
    advice = ""
    if check.found and estimate.value is not None:
        advice = str(ADVICE[check.key][estimate.value > check.expected])
    return CheckReport(str(name), number, check.found, advice)
