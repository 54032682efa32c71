"""Markdown from hostile hands."""

from html.parser import HTMLParser

import pytest

from palate.markdown import sanitised


def tags_of(html):
    """The elements that a browser makes of it."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(html)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://evil.example/pixel.png)",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "<svg/onload=alert(1)>",
        "<iframe src=https://evil.example></iframe>",
        '<a href="x" onclick="alert(1)">x</a>',
        "$<script>alert(1)</script>$",
        "$$<img src=x onerror=alert(1)>$$",
        "```html\n<script>alert(1)</script>\n```",
        "\ue0000\ue001<script>alert(1)</script>",
    ],
)
def test_nothing_runs_and_nothing_is_loaded(text):
    for tag, attributes in tags_of(sanitised(text)):
        assert tag in {"p", "a", "pre", "code"}
        assert set(attributes) <= {"href", "rel", "class"}
        assert attributes.get("href", "https:").startswith("https:")


def test_code_tables_and_emphasis_are_shown():
    html = sanitised("**b** `a<b`\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```\nif a < b:\n```")
    for wanted in ("<strong>b</strong>", "<code>a&lt;b</code>", "<td>1</td>", "if a &lt; b:"):
        assert wanted in html


def test_formulas_stay_as_they_were_written():
    html = sanitised(r"Let $a_1 * b_2 * c$ and $$x_i^2 < \_$$ and \(y_1\) hold; it costs $5 and $6.")
    for wanted in ("$a_1 * b_2 * c$", r"$$x_i^2 &lt; \_$$", r"\(y_1\)", "$5 and $6."):
        assert wanted in html
    assert "<em>" not in html
