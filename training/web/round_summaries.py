"""Rounds by reward and by people, for the page of models: a plot, a table and its files."""

from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.tables import Table
from annotate.models.selection import JudgementSelection
from annotate.models.studies import Study
from annotate.web.plot_files import PlotFile
from core.charts.plots import Cloud, Point, cloud
from core.figures import Figure
from training.rounds.reward_and_people import RoundSummary, round_summaries

COLUMNS = {"round": "int", "policy": "text", "gain": "float", **dict.fromkeys(("win_rate", "low", "high"), "float")}


def rounds_context(study: Study, selection: JudgementSelection) -> dict[str, Any]:
    summaries = round_summaries(study, selection)
    return {
        "rounds": [(summary, _win_figure(summary)) for summary in summaries],
        "rounds_plot": rounds_plot(summaries),
        "selection": selection,
    }


def rounds_file(study: Study, selection: JudgementSelection) -> PlotFile:
    summaries = round_summaries(study, selection)
    rows: list[list[Any]] = [[s.number, s.policy, s.gain, s.rate.value, s.rate.low, s.rate.high] for s in summaries]
    return PlotFile(Table(COLUMNS, rows), rounds_plot(summaries), _("Win rate against the gain in reward"))


def rounds_plot(rounds: list[RoundSummary]) -> Cloud | None:
    points = [
        Point(
            round_.gain, round_.rate.value, round_.rate.low, round_.rate.high, _("round %(n)d") % {"n": round_.number}
        )
        for round_ in rounds
        if round_.gain is not None and round_.rate.value is not None
    ]
    return cloud(points, x_axis=_("gain by the preference model"), y_axis=_("win rate"), reference=0.5)


def _win_figure(round_: RoundSummary) -> Figure:
    return Figure(
        what=_("How often raters prefer %(policy)s to the policy it was tuned from; a tie counts half")
        % {"policy": round_.policy},
        value=round_.rate.value,
        low=round_.rate.low,
        high=round_.rate.high,
        n=round_.rate.judgements,
        unit=_("judgements"),
        method=_("share, bootstrap of prompts"),
        missing=_("not yet: none of these raters has judged it"),
    )
