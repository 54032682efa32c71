import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.exchange.formats.conversations import render
from annotate.models.studies import Study
from annotate.templatetags.texts import as_text_of
from annotate.turns import turns

TALK = "Customer: Hello.\n\nNote: this stays\nand this: too\n\nAssistant: Yes?"


def test_an_empty_line_and_a_name_begin_a_turn():
    assert turns(TALK) == [("Customer", "Hello."), ("Note", "this stays\nand this: too"), ("Assistant", "Yes?")]
    assert turns("Customer: one\nNote: two") == [("Customer", "one\nNote: two")]


def test_chinese_names_stand_before_a_full_width_colon():
    assert turns("顾客：灯坏了。\n\n客服：很抱歉：马上换。") == [("顾客", "灯坏了。"), ("客服", "很抱歉：马上换。")]


@pytest.mark.parametrize("text", ["", "Hello.", "Hello.\n\nCustomer: late", "https://example.org: x", "12:30"])
def test_what_does_not_begin_with_a_turn_is_no_conversation(text):
    assert turns(text) == []


@given(st.text("ab:：_ \n\t\r", max_size=60).filter(lambda text: not re.match(r"\s*\n", text)))
def test_it_reads_what_the_one_expression_reads_that_is_too_slow(text):
    slow = re.compile(r"(?:\A|\n\s*\n)[ \t]*(\w[\w ]{0,29})(?::(?=\s)|：)")
    starts = list(slow.finditer(text))
    assert [name for name, _text in turns(text)] == (
        [start[1] for start in starts] if starts and not text[: starts[0].start()].strip() else []
    )


@given(st.text(max_size=200))
def test_no_text_breaks_it(text):
    assert all(name for name, _ in turns(text))


def test_what_imports_make_of_messages_is_read_as_turns():
    messages = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello.\n\nWhat now?"}]
    assert turns(render(messages)) == [("User", "Hi."), ("Assistant", "Hello.\n\nWhat now?")]


def test_a_page_shows_turns_on_two_sides_and_escapes_them():
    html = as_text_of("A: <b>x</b>\n\nB: y", Study(text_format="dialogue"))
    assert html.count('class="turn"') == html.count('class="turn other"') == 1
    assert "&lt;b&gt;x" in html
    assert as_text_of("<i>plain", Study(text_format="dialogue")) == "&lt;i&gt;plain"
