"""The page that says whether a study's judgements can be trusted, its file, and the pages of its raters."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from annotate.exchange.tables import Row, Table, csv_lines
from annotate.members.access import managed_study
from annotate.prompts.models import Response
from annotate.quality import summary
from annotate.quality.evidence import Evidence, who_judged
from annotate.quality.labels import confusions
from annotate.quality.second_opinion import widest_gaps
from annotate.quality.words import told
from annotate.studies.models import Study
from palate.figures import Figure
from palate.plots import Cloud, Forest, Point, cloud, forest

WHO = ("people", "simulated")
COLUMNS = {
    **dict.fromkeys(("section", "row", "what"), "text"),
    **dict.fromkeys(("value", "low", "high"), "float"),
    "n": "int",
    **dict.fromkeys(("unit", "method", "missing"), "text"),
}


def evidence_for(request: HttpRequest, study: Study) -> Evidence:
    """The votes of those that the address asks for: `?who=people` or `simulated`."""
    who = request.GET.get("who") or who_judged(study)
    if who not in WHO:
        raise Http404
    return Evidence(study, who)


def quality(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    evidence = evidence_for(request, study)
    context: dict[str, Any] = {"study": study, "tab": "quality", "who": evidence.who}
    context["missing"] = summary.not_yet(evidence)
    if len(evidence.comparisons) or evidence.criteria:
        groups, weeks = summary.group_table(evidence), summary.week_table(evidence)
        context |= {
            "figures": summary.agreement_figures(evidence),
            "criteria": summary.criteria_table(evidence),
            "labels": summary.label_table(evidence),
            "confusions": confusions(evidence.labelled),
            "opinion": summary.opinion_table(evidence),
            "gaps": gaps(evidence),
            "groups": groups,
            "audience": summary.audience_table(evidence),
            "weeks": weeks,
            "checks": [told(check) for check in summary.all_checks(evidence)],
            "groups_plot": by_group_plot(groups),
            "weeks_plot": by_week_plot(weeks),
        }
    return render(request, "manage/quality.html", context)


def gaps(evidence: Evidence) -> list[tuple[Response, float, float]]:
    """Responses on whose first scale raters and chrF part most, with mean score and chrF."""
    if not evidence.criteria:
        return []
    found = widest_gaps(evidence.opinion, evidence.scores(evidence.criteria[0].key))
    responses = Response.objects.select_related("prompt").in_bulk([pk for pk, *_ in found])
    return [(responses[pk], score, chrf) for pk, score, chrf in found]


def by_group_plot(table: summary.Table) -> Forest | None:
    rows = [(line.name, line.figures[0]) for line in table.lines]
    drawn = [(name, raw.value, raw.low, raw.high) for name, raw in rows if raw.value is not None]
    return forest(drawn, axis=_("raw agreement, interval at 95 %"))


def by_week_plot(table: summary.Table) -> Cloud | None:
    known = [(k, line) for k, line in enumerate(table.lines) if line.figures[0].value is not None]
    points = [Point(k, f.value or 0.0, f.low, f.high, line.name) for k, line in known for f in line.figures[:1]]
    words = [line.name for line in table.lines]
    return cloud(points, x_axis=_("week from"), y_axis=_("raw agreement"), x_words=words, joined=True)


def quality_file(request: HttpRequest, slug: str, file_type: str) -> HttpResponse:
    """Every figure of the page as CSV, or its plot by group of prompts as SVG."""
    study = managed_study(request, slug)
    evidence = evidence_for(request, study)
    if file_type == "csv":
        body, kind = b"".join(csv_lines(Table(COLUMNS, rows(evidence)))), "text/csv"
    elif file_type == "svg" and (plot := by_group_plot(summary.group_table(evidence))):
        drawn = {"plot": plot, "title": _("Agreement by group of prompts"), "standalone": True}
        body, kind = render_to_string("plots/forest.svg", drawn).encode(), "image/svg+xml"
    else:
        raise Http404
    response = HttpResponse(body, content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-quality.{file_type}"'
    return response


def rows(evidence: Evidence) -> list[Row]:
    """One row a figure of the page."""
    found = [_row("agreement", f.name, f) for f in summary.agreement_figures(evidence)]
    for table in (
        summary.criteria_table(evidence),
        summary.label_table(evidence),
        summary.opinion_table(evidence),
        summary.group_table(evidence),
        summary.audience_table(evidence),
        summary.week_table(evidence),
    ):
        found += [_row(table.key, line.name, number) for line in table.lines for number in line.figures]
    for check in summary.all_checks(evidence):
        words = told(check)
        found.append(_row("checks", words.name, words.figure))
    return found


def _row(section: str, name: str, number: Figure) -> Row:
    return [
        *(section, name, number.what, number.value, number.low, number.high, number.n, number.unit),
        *(number.method, number.missing if number.value is None else ""),
    ]
