"""What an import does with fields that nothing reads: it names them, and refuses where they may be judgements."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from annotate.exchange.importers.column_mapping import parse_mapping
from annotate.exchange.importers.notes import details
from annotate.exchange.importers.preferences import ImportOptions, import_preferences
from annotate.models.judgements import Judgement
from annotate.models.studies import Study
from core.errors import PalateError

pytestmark = pytest.mark.django_db
PAIR = {"response_0": "A", "response_1": "B"}


def write(path, *values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


@pytest.mark.parametrize(("row", "words"), [
    ({"prompt": "Q", "response": "A", "helpfulness": 4, "coherence": 2},
     "--map score:helpfulness=helpfulness --map score:coherence=coherence"),
    ({"prompt": "Q", **PAIR, "better_response_id": 0},
     "--map response_a=response_0 --map response_b=response_1 --map winner=better_response_id"),
    ({"question": "Q", "response_A": "A", "response_B": "B", "label": "A>B"},
     "--map response_a=response_A --map response_b=response_B --map winner=label"),
    ({"prompt": "Q", "answers": [{"answer": "A", "rank": 1}, {"answer": "B", "rank": 2}]}, "--map responses=answers"),
    ({"question": "Q", "answer": "A"}, "--map response=answer"),
    ({"instruction": "Q", "input": "", "output": "A"}, "--map response=output"),
    ({"text": "a film", "label": 1}, "--ignore label"),
    ({"prompt": "Q", "generations": ["a.png", "b.png"], "ranking": [1, 2]}, "generations"),
    ({"prompt": "Q", "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": ""}]}, "messages"),
    ({"prompt": "Q", "chosen": "A", "rejected": "B", "winner": "chosen"}, "winner"),
    ({"prompt": "Q", "responses": [{"text": "A", "overall_score": 4}, {"text": "B", "overall_score": 1}]},
     "responses[].overall_score"),
])  # fmt: skip
@pytest.mark.parametrize("dry_run", [False, True])
def test_responses_and_judgements_are_never_passed_over(tmp_path, row, words, dry_run):
    with pytest.raises(PalateError) as error:
        import_preferences(
            slug="s", path=write(tmp_path / "a.jsonl", row), way=ImportOptions(dry_run=dry_run, skip_bad=True)
        )
    assert "leave fields unread" in str(error.value)
    assert words in str(error.value)
    assert not Study.objects.exists()


def test_what_is_not_read_is_named(tmp_path, capsys):
    row = {"prompt": "Q", "chosen": "A", "rejected": "B", "score_chosen": 8.5, "source": "x", "nothing": None}
    file = write(tmp_path / "a.jsonl", row, {**row, "prompt": "R", "dataset": "y"})
    for dry_run in (True, False):
        call_command("import_preferences", "s", str(file), dry_run=dry_run)
        assert "ignored: score_chosen, source, dataset\n" in capsys.readouterr().out
    assert import_preferences(slug="s", path=file)["ignored_fields"] == ["score_chosen", "source", "dataset"]


def test_a_mapping_reads_any_table(tmp_path):
    file = write(
        tmp_path / "a.jsonl", {"ask": "Q", **PAIR, "better_response_id": 1, "safer_response_id": 0, "who": "r"}
    )
    fields = ["prompt=ask", "response_a=response_0", "response_b=response_1", "winner=better_response_id", "rater=who"]
    # A second verdict is not dropped in silence.
    with pytest.raises(PalateError, match=r"safer_response_id\. Nothing was imported\. .* --ignore safer_response_id"):
        import_preferences(slug="s", path=file, way=ImportOptions(mapping=parse_mapping(fields, [])))
    counts = import_preferences(
        slug="s", path=file, way=ImportOptions(mapping=parse_mapping(fields, ["safer_response_id"]))
    )
    judgement = Judgement.objects.select_related("rater", "task__prompt").get()
    assert (judgement.ranks, judgement.rater.external_id, judgement.task.prompt.text) == ([2, 1], "r", "Q")
    assert (counts["ignored_fields"], judgement.order_known) == ([], False)


@pytest.mark.parametrize(("flags", "words"), [
    (["--map", "prompt"], "expected FIELD=COLUMN"), (["--map", "prompt=ask", "--map", "prompt=b"], "mapped twice"),
    (["--map", "price=ask"], "--map price: expected one of"), (["--map", "prompt=nosuch"], "has no such field"),
    (["--ignore", "nosuch"], "--ignore nosuch"), (["--map", "prompt=ask"], "but the row has a field of that name"),
    (["--map", "score:=ask"], "expected one of"),
])  # fmt: skip
def test_a_mapping_that_does_not_fit_is_refused(tmp_path, flags, words):
    file = write(tmp_path / "a.jsonl", {"ask": "Q", "prompt": "P", "response": "A"})
    with pytest.raises(CommandError, match=words):
        call_command("import_preferences", "s", str(file), *flags)


def test_an_error_names_the_column_of_the_file(tmp_path):
    file = write(tmp_path / "a.jsonl", {"ask": 1.5, "chosen": "A", "rejected": "B"})
    with pytest.raises(PalateError, match=r"line 1, field ask: 1.5 is not a text"):
        import_preferences(slug="s", path=file, way=ImportOptions(mapping=parse_mapping(["prompt=ask"], [])))


def test_what_was_left_out_is_told(tmp_path):
    task = {"text": "Q", "options": [{"id": "A", "text": "one"}, {"id": "B", "text": "two"}]}
    file = write(tmp_path / "a.jsonl", {**task, "accept": ["A"], "answer": "accept"},
                 {**task, "text": "R", "accept": [], "answer": "ignore"})  # fmt: skip
    counts = import_preferences(slug="s", path=file)
    assert details(counts) == ["1 task that its rater ignored or rejected has no judgement"]
    assert (counts["judgements"], counts["responses"]) == (1, 4)
