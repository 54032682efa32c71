"""Plain tables: a row a prompt, or a row a response."""

from annotate.exchange.bundles import Bundle, Written, digest
from annotate.exchange.files import Row


def prompts(row: Row) -> list[Bundle]:
    """prompt (or text), and where wanted prompt_id, group, split, reference, beside, audience."""
    return [_bundle(row, "prompt" if "prompt" in row.values else "text")]


def responses(row: Row) -> list[Bundle]:
    """prompt and response, and where wanted response_id, author, and what stands beside a prompt."""
    text = row.text("response")
    author = row.name("author", required=False) or "unknown"
    response = Written(row.name("response_id", required=False) or digest(text), text, author)
    return [_bundle(row, "prompt", response)]


def _bundle(row: Row, field: str, *given: Written) -> Bundle:
    text = row.text(field)
    return Bundle(
        row=row,
        prompt_id=row.name("prompt_id", required=False) or digest(text),
        prompt=text,
        responses=given,
        group=row.name("group", required=False),
        split=row.name("split", required=False),
        reference=row.text("reference", required=False),
        beside=row.text("beside", required=False),
        audience=row.tags("audience"),
    )
