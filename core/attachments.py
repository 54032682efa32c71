"""Files that a page or the API hands out for download."""

from collections.abc import Iterable

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/x-ndjson; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "svg": "image/svg+xml; charset=utf-8",
    "zip": "application/zip",
}


def attachment(content: bytes | Iterable[bytes] | Iterable[str], name: str) -> HttpResponseBase:
    """Return the content as a download, streamed unless it is bytes; its type follows from the ending of the name."""
    response = HttpResponse if isinstance(content, bytes) else StreamingHttpResponse
    return response(
        content,
        content_type=CONTENT_TYPES[name.rsplit(".", 1)[1]],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
