"""Tables and plots of pages as files to download."""

from dataclasses import dataclass

from django.http import Http404, HttpResponseBase
from django.template.loader import render_to_string

from annotate.exchange.files.tables import Table, csv_lines
from core.attachments import attachment
from core.charts.plots import Cloud, Forest


@dataclass(frozen=True)
class PlotFile:
    """The contents of a file: the table, and its plot where there is anything to draw."""

    table: Table
    plot: Forest | Cloud | None = None
    title: str = ""


def file_response(content: PlotFile, file_type: str, *, name: str) -> HttpResponseBase:
    """Return the table as CSV, or the plot as SVG. Raises Http404 for other types and where there is no plot."""
    if file_type == "csv":
        return attachment(b"".join(csv_lines(content.table)), f"{name}.csv")
    if file_type == "svg" and content.plot:
        context = {"plot": content.plot, "title": content.title, "standalone": True}
        template = "plots/forest.svg" if isinstance(content.plot, Forest) else "plots/cloud.svg"
        return attachment(render_to_string(template, context).encode(), f"{name}.svg")
    raise Http404
