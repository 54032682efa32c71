"""The page about machine judges: how far each can stand in for people."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _

from annotate.analytics.machine_judges.agreement import (
    Bin,
    both_ways,
    calibration,
    cohens_kappa,
    prediction_powered,
    side_pull,
)
from annotate.analytics.machine_judges.pairs import PairedVotes, paired_votes
from annotate.analytics.selection import default_selection
from annotate.audit.operations import record
from annotate.exchange.files.tables import Table
from annotate.models.audit import Action
from annotate.models.choices import Kind
from annotate.models.members import Membership
from annotate.web.access import managed_study
from annotate.web.plot_files import PlotFile, file_response
from core.charts.plots import Cloud, Point, cloud
from core.figures import Figure
from core.statistics.bootstrap import Estimate


def machines(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    who = default_selection(study).who
    judges = study.memberships.filter(kind=Kind.MACHINE).order_by("pk")
    context = {"study": study, "tab": "quality", "who": who, "judges": [_judge(judge, who) for judge in judges]}
    return render(request, "manage/machines.html", context)


def _judge(rater: Membership, who: str) -> dict[str, Any]:
    found = paired_votes(rater, who)
    people = found.with_people
    clear = people & (found.people != 0.5) & (found.chance != 0.5)
    bins, error = calibration(found.chance[people], found.people[people])
    return {
        "name": rater.external_id,
        "pairs": len(found.task),
        "figures": figures(found, cohens_kappa(found.chance[clear] > 0.5, found.people[clear] > 0.5), error),
        "bins": bins,
        "plot": plot(bins),
        "inference": prediction_powered(found.people[people], found.chance[people], found.chance[~people]),
    }


COLUMNS = {
    "judge": "text",
    **dict.fromkeys(("chance_low", "chance_high", "machine_says", "people_say"), "float"),
    "pairs": "int",
}


def machines_file(request: HttpRequest, slug: str, file_type: str) -> HttpResponseBase:
    """The calibration of every judge as CSV, or the plot of one as SVG: `?judge=` its number, else the first."""
    study = managed_study(request, slug)
    who = default_selection(study).who
    judges = [_judge(judge, who) for judge in study.memberships.filter(kind=Kind.MACHINE).order_by("pk")]
    lines = [[j["name"], b.low, b.high, b.predicted, b.people, b.n] for j in judges for b in j["bins"]]
    number = request.GET.get("judge", "1")
    chosen = judges[int(number) - 1 : int(number)] if number.isdecimal() and len(number) < 9 and int(number) else []
    content = PlotFile(Table(COLUMNS, lines), chosen[0]["plot"] if chosen else None, _("Calibration"))
    response = file_response(content, file_type, name=f"{study.slug}-machines")
    record(study=study, user=request.user, action=Action.EXPORTED, subject=f"machines.{file_type}")
    return response


def figures(found: PairedVotes, kappa: Estimate, error: float | None) -> list[Figure]:
    both, pull = both_ways(found.forward, found.backward), side_pull(found.forward, found.backward)
    pairs, by_pair = _("pairs"), _("bootstrap of pairs")
    source = _("pairs that the machine judged in both orders, with people's votes on them")

    def of(name: str, what: str, estimate: Estimate, method: str) -> Figure:
        missing = _("not yet, because people have judged none of its pairs clearly")
        return Figure(
            what, name, estimate.value, estimate.low, estimate.high, estimate.n, pairs, method, source, missing
        )

    return [
        of(
            _("κ with people"),
            _("Agreement with the majority of people beyond chance: 1 is perfect, 0 is chance"),
            kappa,
            "; ".join([_("Cohen 1960, pairs without a majority left out"), by_pair]),
        ),
        of(
            _("calibration error"),
            _("How far the machine's chances lie from people's shares, on average; 0 is perfect"),
            Estimate(error, None, None, int(found.with_people.sum())),
            _("expected calibration error of ten bins"),
        ),
        of(
            _("pull of the first place"),
            _("The chance that the machine gives to the response shown first, over both orders; 0.5 without a pull"),
            pull,
            "; ".join([_("mean"), by_pair]),
        ),
        of(
            _("same in both orders"),
            _("How often the machine names the same response when the order is swapped"),
            both,
            "; ".join([_("share"), by_pair]),
        ),
    ]


def plot(bins: list[Bin]) -> Cloud | None:
    points = [Point(b.predicted, b.people, label=f"{b.n}") for b in bins]
    return cloud(points, x_axis=_("the machine's chance"), y_axis=_("people's share"))
