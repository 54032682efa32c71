"""The page that says who is preferred to whom, and its files."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.analytics.ranking.table import Part, RankedItem, Standings
from annotate.analytics.ranking.votes_of_study import Selection, ranking_input, read, standings_of
from annotate.audit.operations import record
from annotate.exchange.files.tables import Table
from annotate.models.audit import Action
from annotate.web.access import managed_study
from annotate.web.plot_files import PlotFile, file_response
from annotate.web.standings.forms import MODELS, WORDS, SelectionForm
from core.charts.plots import Forest, forest
from core.figures import Figure

COLUMNS = {
    **dict.fromkeys(("part", "rank", "rank_low", "rank_high"), "int"),
    "author": "text",
    **dict.fromkeys(("strength", "low", "high", "chance_against_average", "votes", "wins"), "float"),
}
# The matrix of more authors than this is left to the file.
MAX_IN_MATRIX = 12


def page(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    form = SelectionForm(request.GET or None, study=study)
    context: dict[str, Any] = {"study": study, "tab": "standings", "form": form}
    if form.is_bound and not form.is_valid():
        return render(request, "manage/standings.html", context, status=422)
    selection = selection_of(form)
    ballot = ranking_input(study, selection, read(study, selection))
    found = standings_of(study, selection, ballot)
    context |= {
        "found": found,
        "selection": selection.judgements,
        "parts": [_part_context(part, selection) for part in found.parts],
        "weighed": selection.reliability,
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
    few = len(part.places) <= MAX_IN_MATRIX
    return {
        "part": part,
        "rows": [(place, *item_figures(place, part, selection)) for place in part.places],
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


def item_figures(place: RankedItem, part: Part, selection: Selection) -> tuple[Figure, Figure]:
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


def download(request: HttpRequest, slug: str, file_type: str) -> HttpResponseBase:
    """The standings as CSV or as a picture (SVG), with the same selection as the page; `?part=` chooses another
    part of standings that fall apart."""
    study = managed_study(request, slug)
    chosen = SelectionForm(request.GET or None, study=study)
    if chosen.is_bound and not chosen.is_valid():
        return HttpResponse(str(chosen.errors.as_text()), status=422, content_type="text/plain; charset=utf-8")
    selection = selection_of(chosen)
    found = standings_of(study, selection, ranking_input(study, selection, read(study, selection)))
    made = strengths_file(found, request.GET.get("part", "1"))
    response = file_response(made, file_type, name=f"{study.slug}-standings")
    record(study=study, user=request.user, action=Action.EXPORTED, subject=f"{study.slug}-standings.{file_type}")
    return response


def strengths_file(found: Standings, part: str) -> PlotFile:
    number = int(part) if part.isdecimal() and len(part) < 9 else 0
    if not 0 < number <= max(len(found.parts), 1):
        raise Http404
    plot = strengths_plot(found.parts[number - 1]) if found.parts else None
    return PlotFile(Table(COLUMNS, _rows(found)), plot, _("Standings"))


def _rows(found: Standings) -> list[list[Any]]:
    return [
        [number, p.rank, p.rank_low, p.rank_high, p.name, p.strength, p.low, p.high, p.chance, p.votes, p.wins]
        for number, part in enumerate(found.parts, start=1)
        for p in part.places
    ]
