"""What each tool's row means: the prompt, the responses and who found which better."""

from pathlib import Path

import pytest

from annotate.exchange.files.rows import Row, Values
from annotate.exchange.formats.fields import Fields
from annotate.exchange.formats.registry import SHAPES, guess, parser
from annotate.exchange.importers.checks import check
from annotate.exchange.importers.notes import Notes
from core.errors import PalateError


def read(values, shape="", fields=None, notes=None):
    row = Row(Path("file.jsonl"), 7, Values(values))
    bundles = parser(shape or guess(row), fields or Fields(), notes or Notes())(row)
    for bundle in bundles:
        check(bundle)
    return bundles


def result(bundle):
    """The prompt, and for each judgement its rater and the texts with their ranks."""
    texts = {response.external_id: response.text for response in bundle.responses}
    output = [(s.rater, dict(zip((texts[i] for i in s.shown), s.ranks or (), strict=False))) for s in bundle.judgements]
    return bundle.prompt, output


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


SYSTEM = {"role": "system", "content": "Be kind."}

LEFT = {"id": 9, "completed_by": {"id": 4}, "lead_time": 2.5, "created_at": "2026-01-31T10:00:00Z"}
RANKED = [{"from_name": "r", "type": "ranker", "value": {"ranker": {"_": ["c"], "best": ["b", "a"]}}}]
ITEMS = [{"id": name, "title": "", "body": name.upper()} for name in "abc"]


@pytest.mark.parametrize(("shape", "row", "expected"), [
    ("trl", {"prompt": "Q", "chosen": "A", "rejected": "B"}, ("Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"system": "Be kind.", "question": "Q", "chosen": "A", "rejected": "B"},
     ("System: Be kind.\n\nUser: Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"instruction": "Add", "input": "1 2", "chosen": "3", "rejected": ""},
     ("Add\n\n1 2", [(None, {"3": 1, "": 2})])),
    ("trl", {"conversations": [{"from": "human", "value": "Q"}], "chosen": {"from": "gpt", "value": "A"},
             "rejected": {"from": "gpt", "value": "B"}}, ("Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"history": [["Hi", "Hello"]], "question": "Q", "chosen": "A", "rejected": "B"},
     ("User: Hi\n\nAssistant: Hello\n\nUser: Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"prompt": "Q", "chosen": [user("Q"), assistant("A")], "rejected": [user("Q"), assistant("B")]},
     ("Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"prompt": [user("Q")], "chosen": [user("Q"), assistant("A")], "rejected": [user("Q"), assistant("B")]},
     ("Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"prompt": "Q", "chosen": [SYSTEM, user("Q"), assistant("A")],
             "rejected": [SYSTEM, user("Q"), assistant("B")]},
     ("System: Be kind.\n\nUser: Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"prompt": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}], "chosen": [assistant("A")],
             "rejected": [assistant("B")]}, ("Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"prompt": [user("Q")], "chosen": [assistant("A")], "rejected": [assistant("B")]},
     ("Q", [(None, {"A": 1, "B": 2})])),
    ("trl", {"chosen": [user("Q"), assistant("A")], "rejected": [user("Q"), assistant("B")]},
     ("Q", [(None, {"A": 1, "B": 2})])),
    ("hh-rlhf", {"chosen": "\n\nHuman: Q\n\nAssistant: A", "rejected": "\n\nHuman: Q\n\nAssistant: B"},
     ("Q", [(None, {"A": 1, "B": 2})])),
    ("hh-rlhf", {"chosen": "\n\nHuman: Q\n\nAssistant: A\n\nHuman: R\n\nAssistant: C",
                 "rejected": "\n\nHuman: Q\n\nAssistant: A\n\nHuman: R\n\nAssistant: D"},
     ("User: Q\n\nAssistant: A\n\nUser: R", [(None, {"C": 1, "D": 2})])),
    ("arena", {"question_id": "q", "model_a": "m", "model_b": "n", "winner": "tie (bothbad)", "judge": "j",
               "conversation_a": [user("Q"), assistant("A")], "conversation_b": [user("Q"), assistant("B")]},
     ("Q", [("j", {"A": 1, "B": 1})])),
    ("arena", {"id": 5, "model_a": "m", "model_b": "n", "prompt": '["Q"]', "response_a": '["A"]', "response_b": '["B"]',
               "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0}, ("Q", [(None, {"A": 2, "B": 1})])),
    ("label-studio", {"id": 1, "data": {"prompt": "Q", "answer1": "A", "answer2": "B"},
                      "annotations": [{**LEFT, "result": [{"type": "pairwise", "value": {"selected": "right"}}]},
                                      {"was_cancelled": True, "result": []}]}, ("Q", [("4", {"A": 2, "B": 1})])),
    ("label-studio", {"data": {"prompt": "Q", "items": ITEMS}, "annotations": [{**LEFT, "result": RANKED}]},
     ("Q", [("4", {"A": 2, "B": 1, "C": 3})])),
    ("argilla", {"id": "1", "fields": {"prompt": "Q", "response1": "A", "response2": "B"},
                 "responses": {"p": [{"value": ["response2", "response1"], "user_id": "u"}]}},
     ("Q", [("u", {"A": 2, "B": 1})])),
    ("argilla", {"prompt": "Q", "response-1": "A", "response-2": "B", "p.responses": ["response-2", "tie"],
                 "p.responses.users": ["u", "v"], "p.responses.status": ["submitted", "submitted"]},
     ("Q", [("u", {"A": 2, "B": 1}), ("v", {"A": 1, "B": 1})])),
    ("argilla", {"prompt": "Q", "response-1": "A", "response-2": "B", "best": [
        {"user_id": "u", "value": "response-1", "status": "submitted"},
        {"user_id": "v", "value": "response-2", "status": "discarded"}]}, ("Q", [("u", {"A": 1, "B": 2})])),
    ("argilla", {"id": "r", "fields": {"prompt": "Q", "response-1": "A", "response-2": "B"}, "responses": [
        {"values": {"r": {"value": [{"rank": 1, "value": "response-2"}, {"rank": 2, "value": "response-1"}]}},
         "status": "submitted", "user_id": "u"}, {"values": {}, "status": "discarded", "user_id": "v"}]},
     ("Q", [("u", {"A": 2, "B": 1})])),
    ("label-studio", {"data": {"prompt": "Q", "answer1": "A", "answer2": "B"}, "annotations": [
        {**LEFT, "result": [{"from_name": "p", "type": "choices", "value": {"choices": ["Response 2"]}}]}]},
     ("Q", [("4", {"A": 2, "B": 1})])),
    ("label-studio-flat", {"annotation_id": "0", "annotator": "4", "answer1": "A", "answer2": "B", "lead_time": "2.5",
                           "comparison": '{"selected": "left"}', "created_at": "2026-01-31T10:00:00Z", "prompt": "Q"},
     ("Q", [("4", {"A": 1, "B": 2})])),
    ("prodigy", {"text": "Q", "options": [{"id": "A", "text": "one"}, {"id": "B", "text": "two"}], "accept": ["B"],
                 "answer": "accept", "_annotator_id": "r"}, ("Q", [("r", {"one": 2, "two": 1})])),
    ("comparisons", {"prompt": "Q", "response_a": "A", "response_b": "B", "winner": "tie", "rater": "r"},
     ("Q", [("r", {"A": 1, "B": 1})])),
    ("candidates", {"prompt": "Q", "responses": [{"answer": "A", "rank": 2.0}, {"answer": "B", "rank": 1}]},
     ("Q", [(None, {"A": 2, "B": 1})])),
    ("responses", {"prompt": "Q", "response": ""}, ("Q", [])),
    ("prompts", {"question": "Q"}, ("Q", [])),
    ("responses", {"prompt": "Q", "response": "A"}, ("Q", [])),
    ("prompts", {"text": "Q"}, ("Q", [])),
])  # fmt: skip
def test_is_seen_and_read(shape, row, expected):
    assert guess(Row(Path("f"), 1, row)) == shape
    (bundle,) = read(row)
    assert result(bundle) == expected


def test_both_bad_marks_both_responses():
    row = {"model_a": "m", "model_b": "n", "winner": "tie (bothbad)", "prompt": "Q", "response_a": "A"}
    (bundle,) = read({**row, "response_b": "B"})
    assert bundle.judgements[0].unacceptable == [True, True]
    assert [response.author for response in bundle.responses] == ["m", "n"]


def test_a_label_is_a_score():
    (bundle,) = read({"prompt": "Q", "completion": "A", "label": False})
    assert (bundle.judgements[0].scores, bundle.scales) == ({"label": [0.0]}, {"label": (0.0, 1.0)})


def test_a_tree_gives_a_ranking_at_every_place_where_assistants_answered():
    def message(name, role, *replies, rank=None):
        return {"message_id": name, "text": name, "role": role, "rank": rank, "replies": list(replies)}

    deeper = message("q2", "prompter", message("a3", "assistant", rank=0), message("a4", "assistant", rank=1))
    root = message("q", "prompter", message("a1", "assistant", deeper, rank=1), message("a2", "assistant", rank=0))
    first, second = read({"message_tree_id": "t", "prompt": root})
    assert result(first) == ("q", [(None, {"a1": 2, "a2": 1})])
    assert result(second) == ("User: q\n\nAssistant: a1\n\nUser: q2", [(None, {"a3": 1, "a4": 2})])
    assert {first.group, second.group} == {"t"}


@pytest.mark.parametrize(("shape", "row", "words"), [
    ("trl", {"prompt": "Q", "chosen": "A", "rejected": "A"}, "same text"),
    ("trl", {"chosen": "Clean it often", "rejected": "Clean it never"}, "--map prompt=FIELD"),
    ("trl", {"chosen": [assistant("A")], "rejected": [assistant("B")]}, "share no turn"),
    ("trl", {"prompt": "Q", "chosen": [user("R"), assistant("A")], "rejected": [user("R"), assistant("B")]},
     "another turn of the user"),
    ("trl", {"chosen": [user("Q"), assistant("A"), user("B")], "rejected": [user("Q"), assistant("C"), user("D")]},
     "ends with a turn of the user"),
    ("trl", {"prompt": [user("Q"), {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}],
             "chosen": [assistant("A")], "rejected": [assistant("B")]}, "calls a tool"),
    ("trl", {"prompt": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}],
             "chosen": [assistant("A")], "rejected": [assistant("B")]}, "'image_url'"),
    ("trl", {"prompt": "Q", "chosen": "A", "rejected": None}, "missing"),
    ("comparisons", {"prompt": "Q", "response_a": "A", "response_b": "B", "winner": "7"}, "names neither"),
    ("label-studio", {"data": {"prompt": "Q", "answer1": "A", "answer2": "B"}, "annotations": [
        {"id": 9, "result": [{"from_name": "stars", "type": "rating", "value": {"rating": 4}}]}]}, "stars (rating)"),
    ("argilla", {"fields": {"prompt": "Q", "response1": "A", "response2": "B"},
                 "responses": {"stars": [{"value": 4, "user_id": "u"}]}}, "no ranking or choice"),
    ("trl", {"prompt": "Q", "completion": "A", "label": "maybe"}, "true or false"),
    ("trl", {"prompt": "Q\0", "chosen": "A", "rejected": "B"}, "NUL"),
    ("hh-rlhf", {"chosen": "A", "rejected": "B"}, "Assistant:"),
    ("arena", {"model_a": "m", "model_b": "n", "winner": "c", "prompt": "Q", "response_a": "A", "response_b": "B"},
     "'c'"),
    ("responses", {"prompt": "Q", "response": "\ud800"}, "surrogate"),
    ("label-studio", {"data": {"prompt": "Q", "answer1": "A"}, "annotations": []}, "--response-fields"),
    ("label-studio", {"data": [], "annotations": []}, "JSON export"),
    ("argilla", {"fields": {"prompt": "Q", "response1": "A", "response2": "B"},
                 "responses": {"p": [{"value": ["response1"], "user_id": "u"}]}}, "expected each"),
    ("argilla", {"fields": {"prompt": "Q", "response1": "A", "response2": "B"},
                 "responses": {"p": [{"value": "response3", "user_id": "u"}]}}, "'response3'"),
    ("oasst", {"message_tree_id": "t", "prompt": "Q"}, "expected a message"),
    ("responses", {"prompt": "Q", "response": "A", "split": "exam"}, "'exam'"),
    ("responses", {"prompt": "Q", "response": "A", "prompt_id": "x" * 201}, "201 characters"),
])  # fmt: skip
def test_what_does_not_fit_is_named(shape, row, words):
    with pytest.raises(PalateError) as error:
        read(row, shape)
    assert "file.jsonl line 7, field " in str(error.value)
    assert words in str(error.value)


def test_fields_can_be_named():
    row = {"data": {"ask": "Q", "one": "A", "two": "B"}, "annotations": []}
    (bundle,) = read(row, fields=Fields("ask", ("two", "one")))
    assert [response.text for response in bundle.responses] == ["B", "A"]


@pytest.mark.parametrize(("value", "ranks"), [
    ("a", [1, 2]), ("Right", [2, 1]), ("A", [1, 2]), ("second text", [2, 1]), ("gpt", [1, 2]), (2, [2, 1]),
    ("1.0", [1, 2]), ("response_2", [2, 1]), ("neither", [1, 1]),
])  # fmt: skip
def test_a_winner_is_a_side_a_text_an_author_or_the_number_of_its_column(value, ranks):
    fields = {"response_a": "first text", "response_b": "second text", "author_a": "gpt", "author_b": "llama"}
    columns = {"response_a": "response_1", "response_b": "response_2"}
    row = Row(Path("f"), 1, Values({"prompt": "Q", "winner": value, **fields}), columns)
    (bundle,) = parser("comparisons", Fields(), Notes())(row)
    assert bundle.judgements[0].ranks == ranks


def test_a_conversation_keeps_its_roles():
    row = {"chosen": [SYSTEM, user("Q"), assistant("A")], "rejected": [SYSTEM, user("Q"), assistant("B")]}
    (bundle,) = read(row)
    assert bundle.messages == [SYSTEM, user("Q")]
    (plain,) = read({"prompt": "System: Be kind.\n\nUser: Q", "chosen": "A", "rejected": "B"})
    assert (plain.prompt, plain.messages) == (bundle.prompt, ())
    assert plain.prompt_id != bundle.prompt_id


def test_the_turn_that_was_judged_is_the_last_one_read():
    """MT-Bench judges the first answer, or the talk of two turns; question_id numbers its questions."""
    talks = {f"conversation_{side}": [user("Q"), assistant(side), user("R"), assistant(side * 2)] for side in "ab"}
    battle = {"question_id": 81, "model_a": "m", "model_b": "n", "winner": "model_a", "judge": "j", **talks}
    (first,), (talk,) = read({**battle, "turn": 1}), read({**battle, "turn": 2})
    assert result(first) == ("Q", [("j", {"a": 1, "b": 2})])
    assert talk.responses[0].text == "Assistant: a\n\nUser: R\n\nAssistant: aa"
    assert first.judgements[0].external_id == talk.judgements[0].external_id == ""


def test_deleted_and_rejected_messages_are_left_out_and_counted():
    def message(name, role, *replies, **fields):
        return {"message_id": name, "text": name, "role": role, "replies": list(replies), **fields}

    below = message("q2", "prompter", message("a4", "assistant", rank=0))
    root = message("q", "prompter", message("a1", "assistant", rank=1), message("a2", "assistant", rank=0),
                   message("a3", "assistant", below, rank=2, deleted=True),
                   message("a5", "assistant", rank=3, review_result=False))  # fmt: skip
    notes = Notes()
    (bundle,) = read({"message_tree_id": "t", "prompt": root}, notes=notes)
    assert result(bundle) == ("q", [(None, {"a1": 2, "a2": 1})])
    assert dict(notes.left_out) == {"deleted_messages": 4}


def test_a_row_that_fits_no_shape_lists_them():
    with pytest.raises(PalateError, match="--shape") as error:
        guess(Row(Path("f"), 1, {"foo": 1}))
    assert all(shape in str(error.value) for shape in SHAPES)
