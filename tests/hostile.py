"""Texts that strangers bring: what has run, leaked or confused in tools of this kind before."""

import json

MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<svg/onload=alert(3)>",
    '"><script>alert(4)</script>',
    "'-alert(5)-'",
    "</textarea><script>alert(6)</script>",
    "</title><script>alert(7)</script>",
    "<iframe srcdoc='<script>parent.alert(8)</script>'></iframe>",
    "<a href='javascript:alert(9)'>x</a>",
    "<style>@import 'https://evil.example/a.css';</style>",
    "<link rel=stylesheet href=https://evil.example/b.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<form action=https://evil.example/><button autofocus>x</button></form>",
    "<object data=https://evil.example/x></object><embed src=https://evil.example/y>",
    "<details open ontoggle=alert(10)>x</details>",
    "<math><mtext></table><mglyph><style><img src=x onerror=alert(11)></style></mglyph></mtext></math>",
    "{{ 7*7 }} {% debug %} ${7*7} #{7*7}",
]
MARKDOWN = [
    "![x](https://evil.example/pixel.png)",
    "[x](javascript:alert(12))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxMyk8L3NjcmlwdD4=)",
    "<javascript:alert(14)>",
    '[x](https://evil.example/ "onmouseover=alert(15)")',
    "```html\n<script>alert(16)</script>\n```",
    "![x][ref]\n\n[ref]: https://evil.example/ref.png",
]
CONFUSING = [
    "\u202egnp.exe \u2066\u2069",  # reads backwards
    "zero\u200bwidth\u200d\ufeff\u2060joiners",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f" * 20,  # marks that pile up
    "\x01\x02\x7f\x85\u2028\u2029controls",
    "A" * 20_000,  # no place to break
]
FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "\u200e=1+1",
    "\u00ad+1",
    "\u061c-1",
    "\u202e@SUM(1)",
    "\u2066=1",
    "\ufe0f=1",
    "\u3164＝1",
    '=HYPERLINK("https://evil.example")',
]
ALL = [*MARKUP, *MARKDOWN, *CONFUSING, *FORMULAS]
WHOLE = "\n\n".join(ALL)
NAME = "<img src=x onerror=alert(17)>'\"><b>\u202e=1"

# What a field of a form may hold that numbers, dates, texts of PostgreSQL and JSON cannot.
VALUES = [
    *("", "a\0b", "½²", "-1", "1e308", "-1e308", "1e999", "nan", "9223372036854775808", "9" * 5000),
    *("99999-12-31", "0001-01-01T00:00:00+14:00", "[" * 20_000, "中" * 300, "%ED%A0%80"),
]
# The same for JSON: each is one value as it is written in a body.
JSON_VALUES = [
    *(
        "null",
        "true",
        "[]",
        "{}",
        "[[]]",
        '{"": ""}',
        '""',
        '"\\u0000"',
        '"\\ud800"',
        '{"\\udfff": 1}',
        '["\\ud800"]',
        "[null]",
    ),
    *("-1", "0", "1.5", "1e308", "-1e308", "1e-320", "1e999", "-1e999", "NaN", "Infinity", '"nan"', '"inf"', '"1e999"'),
    *("2147483648", "9223372036854775808", "9" * 30, "9" * 5000, '"' + "9" * 5000 + '"', '"9223372036854775808"'),
    *(
        '"0000-01-01T00:00:00Z"',
        '"99999-12-31T00:00:00Z"',
        '"0001-01-01T00:00:00+14:00"',
        '"9999-12-31T23:59:59-14:00"',
    ),
    *('"0001-01-01T00:00:00Z"', '"2026-02-30T25:61:61Z"', '"' + "a" * 300 + '"', "[" * 100_000, "[" * 500 + "]" * 500),
]

HERE = "@@here@@"


def _each_place(value):
    """The value with each of its parts, itself included, replaced by the mark."""
    yield HERE
    if isinstance(value, dict):
        for key in value:
            yield from ({**value, key: inner} for inner in _each_place(value[key]))
        yield {**value, HERE: 1}
    elif isinstance(value, list):
        for place in range(len(value)):
            yield from ([*value[:place], inner, *value[place + 1 :]] for inner in _each_place(value[place]))


def with_each_value(body, values):
    """The JSON of a body with one after another of its parts replaced by one after another of the values."""
    for place in _each_place(body):
        for value in values:
            name = value if value.startswith('"') else '"k"'
            yield value, json.dumps(place).replace(f'"{HERE}":', f"{name}:").replace(f'"{HERE}"', value)
