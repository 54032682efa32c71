"""The page that says who is preferred to whom, and its files."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.audit.models import Action
from annotate.audit.operations import record
from annotate.exchange.tables import Table, csv_lines
from annotate.members.access import managed_study
from annotate.standings.forms import MODELS, WORDS, SelectionForm
from annotate.standings.history import Turn, as_they_came, turns
from annotate.standings.reading import Ballot, Selection, ballot_of, read, standings_of
from annotate.standings.table import Part, Place, Standings, online_of, within
from palate.figures import Figure
from palate.plots import Cloud, Forest, Point, cloud, forest

COLUMNS = {
    **dict.fromkeys(("part", "rank", "rank_low", "rank_high"), "int"),
    "author": "text",
    **dict.fromkeys(("strength", "low", "high", "chance_against_average", "votes", "wins"), "float"),
}
# The matrix and the lines of more authors than this are left to the file.
MOST_IN_MATRIX, MOST_LINES = 12, 5


def page(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    form = SelectionForm(request.GET or None, study=study)
    context: dict[str, Any] = {"study": study, "tab": "standings", "form": form}
    if form.is_bound and not form.is_valid():
        return render(request, "manage/standings.html", context, status=422)
    selection = selection_of(form)
    ballot = ballot_of(study, selection, read(study, selection))
    found = standings_of(study, selection, ballot)
    rounds = turns(study, selection.judgements)
    history = history_of(ballot, found, selection.model)
    context |= {
        "found": found,
        "selection": selection.judgements,
        "parts": [_part_context(part, selection) for part in found.parts],
        "weighed": selection.reliability,
        "history": history,
        "rounds": [(turn, _win_figure(turn)) for turn in rounds],
        "rounds_plot": rounds_plot(rounds),
        "query": request.GET.urlencode(),
    }
    return render(request, "manage/standings.html", context)


def selection_of(form: SelectionForm) -> Selection:
    """What a valid form asks for; an empty one asks for the usual."""
    if not form.is_bound:
        form = SelectionForm({}, study=form.study)
        form.is_valid()
    return form.selection()


def _part_context(part: Part, selection: Selection) -> dict[str, Any]:
    few = len(part.places) <= MOST_IN_MATRIX
    return {
        "part": part,
        "rows": [(place, *place_figures(place, part, selection)) for place in part.places],
        "plot": strengths_plot(part),
        "effects": [
            Figure(
                what=_("How much %(name)s moves a vote, in units of strength") % {"name": effect.name},
                value=effect.value,
                low=effect.low,
                high=effect.high,
                n=part.votes,
                unit=_("votes"),
                method=_("a covariate of the model; sandwich interval by task"),
            )
            for effect in part.effects
        ],
        "matrix": matrix(part) if few else [],
    }


def method_of(selection: Selection) -> str:
    """The model and the interval in words."""
    model = str(dict(MODELS)[selection.model])
    interval = _("bootstrap of tasks") if selection.bootstrap else _("sandwich covariance clustered by task")
    names = ", ".join(str(WORDS[name]) for name in selection.controls)
    items = [
        model,
        _("controlled for: %(names)s") % {"names": names} if names else "",
        _("votes weighed by the reliability of their raters") if selection.reliability else "",
        interval,
    ]
    return "; ".join(item for item in items if item)


def place_figures(place: Place, part: Part, selection: Selection) -> tuple[Figure, Figure]:
    """The strength and the chance against an average opponent, explained."""
    method = method_of(selection)
    on_tasks = ngettext("on %(tasks)d task", "on %(tasks)d tasks", part.tasks) % {"tasks": part.tasks}
    source = f"{selection.judgements.source}; {on_tasks}"
    strength = Figure(
        what=_("Strength of %(name)s: the natural logarithm of its worth; 0 is the average here")
        % {"name": place.name},
        value=place.strength,
        low=place.low,
        high=place.high,
        n=round(place.votes),
        unit=_("votes"),
        method=method,
        source=source,
    )
    chance = Figure(
        what=_("How often %(name)s would be preferred to an average opponent, ties left out") % {"name": place.name},
        value=place.chance,
        n=round(place.votes),
        unit=_("votes"),
        method=_("the logistic function of the strength"),
        source=source,
    )
    return strength, chance


def matrix(part: Part) -> list[tuple[str, list[tuple[float, int] | None]]]:
    """For each item its share of the votes against each other one, in the order of rank, and how many votes."""
    order = [list(part.items).index(place.item) for place in part.places]
    rows: list[tuple[str, list[tuple[float, int] | None]]] = []
    for place, i in zip(part.places, order, strict=True):
        cells: list[tuple[float, int] | None] = []
        for j in order:
            votes = part.wins[i, j] + part.wins[j, i]
            cells.append((float(part.wins[i, j] / votes), round(float(votes))) if i != j and votes else None)
        rows.append((place.name, cells))
    return rows


def strengths_plot(part: Part) -> Forest | None:
    rows = [(place.name, place.strength, place.low, place.high) for place in part.places]
    return forest(rows, axis=_("strength, interval at 95 %"), reference=0.0)


@dataclass(frozen=True)
class History:
    """How the strengths of the best came about. rows: comparisons so far, until when, the strengths."""

    plot: Cloud | None
    names: list[str]
    rows: list[tuple[int, datetime, list[float]]]


def history_of(ballot: Ballot, found: Standings, model: str) -> History | None:
    """The strengths of the best of the first part as its votes arrived, by the model of its table; none for whole
    rankings, which are no votes on pairs."""
    if not found.parts or model == "plackett-luce":
        return None
    part = found.parts[0]
    at = ballot.comparisons.at[np.isin(ballot.votes.left, part.items)]
    moments = as_they_came(within(ballot.votes, part.items), at, online_of(part, model))
    best = [(list(part.items).index(place.item), place.name) for place in part.places[:MOST_LINES]]
    points = [
        Point(
            k,
            float(moment.strengths[item]),
            float(moment.strengths[item] - 1.96 * moment.spread[item]),
            float(moment.strengths[item] + 1.96 * moment.spread[item]),
            name,
            series,
        )
        for series, (item, name) in enumerate(best)
        for k, moment in enumerate(moments)
    ]
    words = [f"{moment.comparisons}" for moment in moments]
    plot = cloud(points, x_axis=_("comparisons so far"), y_axis=_("strength"), x_words=words, joined=True)
    rows = [
        (moment.comparisons, datetime.fromtimestamp(moment.at, UTC), [float(moment.strengths[i]) for i, _name in best])
        for moment in moments
    ]
    return History(plot, [name for _item, name in best], rows)


def rounds_plot(rounds: list[Turn]) -> Cloud | None:
    points = [
        Point(turn.gain, turn.rate.value, turn.rate.low, turn.rate.high, _("round %(n)d") % {"n": turn.number})
        for turn in rounds
        if turn.gain is not None and turn.rate.value is not None
    ]
    return cloud(points, x_axis=_("gain by the preference model"), y_axis=_("win rate"), reference=0.5)


def _win_figure(turn: Turn) -> Figure:
    return Figure(
        what=_("How often raters prefer %(policy)s to the policy it was tuned from; a tie counts half")
        % {"policy": turn.policy},
        value=turn.rate.value,
        low=turn.rate.low,
        high=turn.rate.high,
        n=turn.rate.judgements,
        unit=_("judgements"),
        method=_("share, bootstrap of prompts"),
        missing=_("not yet: none of these raters has judged it"),
    )


def download(request: HttpRequest, slug: str, file_type: str) -> HttpResponse:
    """The standings as CSV or as a picture (SVG), with the same selection as the page. `?plot=history` and `rounds`
    are the other plots of the page; `part` chooses another part of standings that fall apart."""
    study = managed_study(request, slug)
    chosen = SelectionForm(request.GET or None, study=study)
    if chosen.is_bound and not chosen.is_valid():
        return HttpResponse(str(chosen.errors.as_text()), status=422, content_type="text/plain; charset=utf-8")
    selection, plot = selection_of(chosen), request.GET.get("plot", "strengths")
    if plot == "rounds":
        made = rounds_file(turns(study, selection.judgements))
    else:
        ballot = ballot_of(study, selection, read(study, selection))
        found = standings_of(study, selection, ballot)
        if plot == "history":
            made = history_file(history_of(ballot, found, selection.model))
        elif plot == "strengths":
            made = strengths_file(found, request.GET.get("part", "1"))
        else:
            raise Http404
    if file_type == "csv":
        body, kind = b"".join(csv_lines(made.table)), "text/csv"
    elif file_type == "svg" and made.plot:
        drawn = {"plot": made.plot, "title": made.title, "standalone": True}
        template = "plots/forest.svg" if isinstance(made.plot, Forest) else "plots/cloud.svg"
        body, kind = render_to_string(template, drawn).encode(), "image/svg+xml"
    else:
        raise Http404
    response = HttpResponse(body, content_type=f"{kind}; charset=utf-8")
    name = f"{study.slug}-standings" + ("" if plot == "strengths" else f"-{plot}")
    response["Content-Disposition"] = f'attachment; filename="{name}.{file_type}"'
    record(study=study, user=request.user, action=Action.EXPORTED, subject=f"{name}.{file_type}")
    return response


@dataclass(frozen=True)
class Made:
    """What a file may hold: the table, and the plot of it where there is anything to draw."""

    table: Table
    plot: Forest | Cloud | None
    title: str


def strengths_file(found: Standings, part: str) -> Made:
    number = int(part) if part.isdecimal() and len(part) < 9 else 0
    if not 0 < number <= max(len(found.parts), 1):
        raise Http404
    plot = strengths_plot(found.parts[number - 1]) if found.parts else None
    return Made(Table(COLUMNS, _rows(found)), plot, _("Standings"))


def history_file(history: History | None) -> Made:
    columns = {"comparisons": "int", "until": "text", "author": "text", "strength": "float"}
    if history is None:
        return Made(Table(columns, []), None, "")
    rows: list[list[Any]] = [
        [n, at.isoformat(), name, value]
        for n, at, values in history.rows
        for name, value in zip(history.names, values, strict=True)
    ]
    return Made(Table(columns, rows), history.plot, _("Strengths as votes arrived"))


def rounds_file(rounds: list[Turn]) -> Made:
    columns = {"round": "int", "policy": "text", "gain": "float", **dict.fromkeys(("win_rate", "low", "high"), "float")}
    rows: list[list[Any]] = [
        [turn.number, turn.policy, turn.gain, turn.rate.value, turn.rate.low, turn.rate.high] for turn in rounds
    ]
    return Made(Table(columns, rows), rounds_plot(rounds), _("Win rate against the gain in reward"))


def _rows(found: Standings) -> list[list[Any]]:
    return [
        [number, p.rank, p.rank_low, p.rank_high, p.name, p.strength, p.low, p.high, p.chance, p.votes, p.wins]
        for number, part in enumerate(found.parts, start=1)
        for p in part.places
    ]
