"""Tables and plots of pages as files to keep."""

from dataclasses import dataclass

from django.http import Http404, HttpResponse
from django.template.loader import render_to_string

from annotate.exchange.files.tables import Table, csv_lines
from core.charts.plots import Cloud, Forest


@dataclass(frozen=True)
class PlotFile:
    """What a file may hold: the table, and the plot of it where there is anything to draw."""

    table: Table
    plot: Forest | Cloud | None
    title: str


def file_response(content: PlotFile, file_type: str, *, name: str) -> HttpResponse:
    """The table as CSV, or the plot as a picture (SVG). Raises Http404 for other types and where there is no plot."""
    if file_type == "csv":
        body, kind = b"".join(csv_lines(content.table)), "text/csv"
    elif file_type == "svg" and content.plot:
        context = {"plot": content.plot, "title": content.title, "standalone": True}
        template = "plots/forest.svg" if isinstance(content.plot, Forest) else "plots/cloud.svg"
        body, kind = render_to_string(template, context).encode(), "image/svg+xml"
    else:
        raise Http404
    response = HttpResponse(body, content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.{file_type}"'
    return response
