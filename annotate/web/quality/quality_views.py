"""The page that says whether a study's judgements can be trusted, its file, and the pages of its raters."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _

from annotate.analytics.agreement import breakdowns
from annotate.analytics.agreement.labels import confusions
from annotate.analytics.figure_labels import Table as Lines
from annotate.analytics.figure_labels import describe_check
from annotate.analytics.reports import quality_report
from annotate.analytics.reports.second_opinion import widest_gaps
from annotate.analytics.reports.study_data import StudyData
from annotate.audit.operations import record
from annotate.exchange.files.tables import Row, Table
from annotate.models.audit import Action
from annotate.models.prompts import Response
from annotate.models.studies import Study
from annotate.web.access import managed_study
from annotate.web.plot_files import PlotFile, file_response
from annotate.web.selection_form import requested_selection
from core.charts.plots import Cloud, Forest, Point, cloud, forest
from core.figures import Figure

# Each is a table of the page with a plot of its own.
TABLES: dict[str, Callable[[StudyData], Lines]] = {
    "criteria": quality_report.criteria_table,
    "groups": breakdowns.group_table,
    "audience": breakdowns.audience_table,
    "weeks": breakdowns.week_table,
}
COLUMNS = {
    **dict.fromkeys(("section", "row", "what"), "text"),
    **dict.fromkeys(("value", "low", "high"), "float"),
    "n": "int",
    **dict.fromkeys(("unit", "method", "source", "missing"), "text"),
}


def study_data_for(request: HttpRequest, study: Study) -> StudyData:
    """The judgements that the address asks for."""
    return StudyData(study, requested_selection(request, study))


def quality(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    evidence = study_data_for(request, study)
    context: dict[str, Any] = {"study": study, "tab": "quality", "selection": evidence.selection}
    context["missing"] = quality_report.not_yet(evidence)
    if len(evidence.comparisons) or evidence.criteria:
        tables = {key: of(evidence) for key, of in TABLES.items()}
        context |= {
            "figures": quality_report.agreement_figures(evidence),
            "labels": quality_report.label_table(evidence),
            "confusions": confusions(evidence.labelled),
            "opinion": quality_report.opinion_table(evidence),
            "gaps": gaps(evidence),
            "checks": [describe_check(check, source=evidence.source) for check in quality_report.all_checks(evidence)],
            **tables,
            **{f"{key}_plot": plot_of(table) for key, table in tables.items()},
        }
    return render(request, "manage/quality.html", context)


def gaps(evidence: StudyData) -> list[tuple[Response, float, float]]:
    """Responses on whose first scale raters and chrF part most, with mean score and chrF."""
    if not evidence.criteria:
        return []
    found = widest_gaps(evidence.opinion, evidence.scores(evidence.criteria[0].key))
    responses = Response.objects.select_related("prompt").in_bulk([pk for pk, *_ in found])
    return [(responses[pk], score, chrf) for pk, score, chrf in found]


def plot_of(table: Lines) -> Forest | Cloud | None:
    """The first figure of every line: weeks along a line, all else one below the other. None for nothing to draw."""
    if table.key == "weeks":
        return by_week_plot(table)
    known = [(line.name, line.figures[0]) for line in table.lines]
    drawn = [(name, number.value, number.low, number.high) for name, number in known if number.value is not None]
    name = _("%(name)s, interval at 95 %%") % {"name": known[0][1].name} if known else ""
    return forest(drawn, axis=name)


def by_week_plot(table: Lines) -> Cloud | None:
    known = [(k, line) for k, line in enumerate(table.lines) if line.figures[0].value is not None]
    points = [Point(k, f.value or 0.0, f.low, f.high, line.name) for k, line in known for f in line.figures[:1]]
    words = [line.name for line in table.lines]
    return cloud(points, x_axis=_("week from"), y_axis=_("raw agreement"), x_words=words, joined=True)


def quality_file(request: HttpRequest, slug: str, file_type: str) -> HttpResponseBase:
    """Every figure of the page as CSV, or one of its plots as SVG: `?plot=groups`, `criteria`, `audience`, `weeks`."""
    study = managed_study(request, slug)
    evidence = study_data_for(request, study)
    key = request.GET.get("plot", "groups") if file_type == "svg" else ""
    plot = plot_of(TABLES[key](evidence)) if key in TABLES else None
    content = PlotFile(Table(COLUMNS, rows(evidence) if file_type == "csv" else []), plot, plot_title(key))
    response = file_response(content, file_type, name=f"{study.slug}-quality")
    record(study=study, user=request.user, action=Action.EXPORTED, subject=f"quality.{file_type}")
    return response


def plot_title(key: str) -> str:
    return {
        "criteria": _("Agreement by criterion"),
        "groups": _("Agreement by group of prompts"),
        "audience": _("Agreement by language and other tags"),
        "weeks": _("Agreement by week"),
    }.get(key, "")


def rows(evidence: StudyData) -> list[Row]:
    """One row a figure of the page."""
    found = [_row("agreement", f.name, f) for f in quality_report.agreement_figures(evidence)]
    for of in (*TABLES.values(), quality_report.label_table, quality_report.opinion_table):
        table = of(evidence)
        found += [_row(table.key, line.name, number) for line in table.lines for number in line.figures]
    for check in quality_report.all_checks(evidence):
        words = describe_check(check, source=evidence.source)
        found.append(_row("checks", words.name, words.figure))
    return found


def _row(section: str, name: str, number: Figure) -> Row:
    return [
        *(section, name, number.what, number.value, number.low, number.high, number.n, number.unit),
        *(number.method, number.source, number.missing if number.value is None else ""),
    ]
