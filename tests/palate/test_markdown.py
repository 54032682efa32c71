"""Markdown from hostile hands."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.markdown import MAX_MARKDOWN, sanitised
from tests.hostile import MARKDOWN, MARKUP


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
    for expected in ("<strong>b</strong>", "<code>a&lt;b</code>", "<td>1</td>", "if a &lt; b:"):
        assert expected in html


def test_formulas_stay_as_they_were_written():
    html = sanitised(r"Let $a_1 * b_2 * c$ and $$x_i^2 < \_$$ and \(y_1\) hold; it costs $5 and $6.")
    for expected in ("$a_1 * b_2 * c$", r"$$x_i^2 &lt; \_$$", r"\(y_1\)", "$5 and $6."):
        assert expected in html
    assert "<em>" not in html


@pytest.mark.parametrize(
    "text",
    ["&#xE000;0&#xE001;", "&#57344;0&#57345;", "$a$ &#xE000;1&#xE001;", "[x](https://a.example/&#xE000;0&#xE001;)"],
)
def test_entities_of_private_characters_name_no_formula(text):
    assert "0" in sanitised(text) or "1" in sanitised(text)
    assert sanitised(text).count("$a$") == text.count("$a$")


def test_formulas_within_addresses_stay_part_of_them():
    tags = tags_of(sanitised("[x](https://shop.example/?a=$1&b=$2)"))
    assert tags[1][1]["href"] == "https://shop.example/?a=$1&b=$2"
    tags = tags_of(sanitised(r'[x](https://shop.example/\("onclick=alert(1)\))'))
    assert all(set(attributes) <= {"href", "rel"} for _tag, attributes in tags)


PIECES = [
    *(
        "\ue000",
        "\ue001",
        "\uf8ff",
        "\U000f0000",
        "\ud800",
        "\x00",
        "&#xE000;",
        "&#xE001;",
        "0",
        "1",
        "\n",
        "\n\n",
        " ",
    ),
    *(
        "$",
        "$$",
        "\\[",
        "\\]",
        "\\(",
        "\\)",
        "*",
        "**",
        "_",
        "~~",
        "`",
        "```",
        "[",
        "](",
        ")",
        "<",
        ">",
        "|",
        "|-|",
        "- ",
    ),
    *(*MARKUP, *MARKDOWN),
]


@given(st.lists(st.sampled_from(PIECES) | st.characters(), max_size=30).map("".join))
def test_no_text_breaks_it_and_nothing_of_it_runs(text):
    for _tag, attributes in tags_of(sanitised(text)):
        assert set(attributes) <= {"href", "rel", "class", "title", "start", "dir"}
        assert not attributes.get("href", "").lower().startswith(("javascript:", "data:", "vbscript:"))


def test_what_cannot_be_rendered_is_shown_as_written_and_logged_once(caplog):
    text = "**half a pair** \ud800 <b>"  # which the sanitiser, written in Rust, cannot take
    for _ in range(3):
        assert sanitised(text) == '<div class="text">**half a pair** \ud800 &lt;b&gt;</div>'
    (record,) = caplog.records
    assert "markdown_not_rendered" in record.getMessage()
    assert record.exc_info or "Traceback" in record.getMessage()


def test_a_long_text_is_shown_as_written():
    text = "**a** <b> " * (MAX_MARKDOWN // 10 + 1)
    assert sanitised(text).startswith('<div class="text">**a** &lt;b&gt; ')
    assert "<strong>" in sanitised(text[:MAX_MARKDOWN])
