"""The files in ../shared/cases that failed once, each with its right result; without that folder these tests skip."""

import pytest

from annotate.exchange.importers.column_mapping import parse_mapping
from annotate.exchange.importers.preferences import ImportOptions, import_preferences
from annotate.models.judgements import Judgement
from annotate.models.prompts import Prompt, Response
from core.errors import PalateError

pytestmark = pytest.mark.django_db
SILENT = "judgement-columns-dropped-silently"
HELPFUL = ["helpfulness", "correctness", "coherence", "complexity", "verbosity"]


@pytest.fixture
def load(shared):
    def load(case, *fields, ignore=(), scales=None):
        way = ImportOptions(mapping=parse_mapping(fields, ignore), scales=scales or {})
        return import_preferences(slug="case", path=shared / "cases" / case, way=way)

    return load


@pytest.mark.parametrize(("case", "prompts", "responses", "judgements", "ignored"), [
    ("chosen-conversation-with-prompt/prompt_text.jsonl", 4, 8, 4, ["messages", "score_chosen", "score_rejected"]),
    ("chosen-conversation-with-prompt/prompt_messages.jsonl", 4, 8, 4, []),
    ("content-parts-and-tool-calls-refused/text_parts.jsonl", 3, 6, 3, []),
    ("content-parts-and-tool-calls-refused/arena140k.jsonl", 3, 6, 3,
     ["evaluation_session_id", "evaluation_order", "language", "is_code"]),
    ("deleted-oasst-messages-imported/trees.jsonl", 3, 6, 3, []),
    ("implicit-prompt-invented/pairs.jsonl", 12, 24, 12, []),
    ("imported-order-reported-as-slot-bias/pairs.jsonl", 12, 24, 12, ["subset", "id"]),
    ("mtbench-judgements-lost/battles.jsonl", 2, 12, 18, []),
    ("kto-labels-lead-nowhere/labels.jsonl", 12, 12, 12, []),
    ("tsv-and-semicolon-errors/tab.tsv", 1, 2, 1, ["id"]),
    (f"{SILENT}/argilla_v1_hub.jsonl", 4, 8, 8, ["choose-best-suggestion-metadata", "external_id", "metadata"]),
    (f"{SILENT}/argilla_v1_records.json", 4, 8, 4, []), (f"{SILENT}/ls_choices.json", 4, 8, 4, []),
    (f"{SILENT}/ls_export.csv", 4, 8, 4, []), (f"{SILENT}/ls_json_min.json", 4, 8, 4, []),
    (f"{SILENT}/prodigy_choice.jsonl", 4, 8, 2, []),
])  # fmt: skip
def test_comes_in_whole(load, case, prompts, responses, judgements, ignored):
    counts = load(case)
    assert (counts["prompts"], counts["responses"], counts["judgements"]) == (prompts, responses, judgements)
    assert (counts["ignored_fields"], counts["bad_rows"]) == (ignored, 0)


@pytest.mark.parametrize(("case", "words"), [
    ("content-parts-and-tool-calls-refused/tool_calls.jsonl", "message 2 calls a tool"),
    (f"{SILENT}/helpsteer2.jsonl", "--map score:helpfulness=helpfulness"),
    (f"{SILENT}/nectar.jsonl", "responses=answers"),
    (f"{SILENT}/oasst_flat.jsonl", "the file of trees"), (f"{SILENT}/pku_saferlhf.jsonl", "winner=better_response_id"),
    # The file ends within a cell.
    ("tsv-and-semicolon-errors/semicolon.csv", "line 4: is not CSV, as separated by semicolons: unexpected end"),
])  # fmt: skip
def test_is_refused_with_what_would_read_it(load, case, words):
    with pytest.raises(PalateError, match=words):
        load(case)
    assert not Prompt.objects.exists()


def test_mappings_read_what_was_refused(load):
    pair = ["response_a=response_0", "response_b=response_1", "winner=better_response_id"]
    assert load(f"{SILENT}/pku_saferlhf.jsonl", *pair, ignore=["safer_response_id"])["judgements"] == 4
    assert load(f"{SILENT}/nectar.jsonl", "responses=answers")["judgements"] == 4
    scores = [f"score:{name}={name}" for name in HELPFUL]
    assert load(f"{SILENT}/helpsteer2.jsonl", *scores, scales=dict.fromkeys(HELPFUL, (0, 4)))["judgements"] == 4


def test_prompts_and_answers_are_what_the_rows_say(load):
    load("chosen-conversation-with-prompt/prompt_messages.jsonl")
    load("implicit-prompt-invented/pairs.jsonl")
    assert Prompt.objects.filter(text="How do I look after tomatoes?").exists()
    careful = Prompt.objects.get(text__contains="tomatoes", messages__isnull=False)
    assert [message["role"] for message in careful.messages] == ["system", "user"]
    assert not Response.objects.filter(text__contains="User:").exists()
    assert not Prompt.objects.filter(text__startswith="Clean").exists()


def test_only_the_turn_that_was_judged_is_read(load):
    load("mtbench-judgements-lost/battles.jsonl")
    texts = Response.objects.values_list("text", flat=True)
    assert sum(text.startswith("Assistant: ") and "Say it shorter." in text for text in texts) == 6
    assert sum(text.startswith("Clean") for text in texts) == 6


def test_deleted_messages_are_counted_and_gone(load):
    assert load("deleted-oasst-messages-imported/trees.jsonl")["left_out"] == {"deleted_messages": 3}
    assert not Response.objects.filter(external_id__in=["a3", "a4", "c3"]).exists()


def test_splits_in_file_names_are_kept(load):
    load("hub-split-names-lost/data")
    assert set(Prompt.objects.values_list("split", flat=True)) == {"train", "test"}
    assert set(Prompt.objects.filter(text__regex=r"^Question 1\d\d").values_list("split", flat=True)) == {"test"}


def test_no_order_shown_is_invented(load):
    load("imported-order-reported-as-slot-bias/pairs.jsonl")
    assert not Judgement.objects.with_known_order().exists()
    assert set(Response.objects.values_list("author_name", flat=True)) == {"alpha", "beta"}
