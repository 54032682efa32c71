"""What one tool's file says goes out again in the same form: roles of conversations, labels of unpaired feedback."""

import json

import pytest
from django.core.management import call_command

from annotate.exchange.exporters.records import engine_prompt, items_of, records_of
from annotate.exchange.importers.preferences import import_preferences
from annotate.models.judgements import Judgement
from annotate.models.prompts import Prompt, Response

pytestmark = pytest.mark.django_db
SYSTEM = {"role": "system", "content": "You answer in one line."}


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def write(path, values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def export(path, **options):
    call_command("export_preferences", output=str(path), **options)
    return [json.loads(line) for line in path.read_text().splitlines()]


TALK = [SYSTEM, user("Q"), assistant("A"), user("More?")]


@pytest.mark.parametrize("implicit", [False, True])
def test_conversations_keep_their_roles(tmp_path, implicit):
    rows = [{"prompt": asked, "chosen": [assistant("yes")], "rejected": [assistant("")]}
            for asked in (TALK, [SYSTEM, user("R")], [user("S")])]  # fmt: skip
    if implicit:
        rows = [{name: row["prompt"] + row[name] for name in ("chosen", "rejected")} for row in rows]
    import_preferences(slug="s", path=write(tmp_path / "a.jsonl", rows))
    file = tmp_path / "o.jsonl"
    assert export(file, study="s", format="preference", conversational=True, implicit_prompt=implicit) == rows
    import_preferences(slug="t", path=file)
    assert [p.messages for p in Prompt.objects.filter(study__slug="t").order_by("id")] == [
        TALK,
        [SYSTEM, user("R")],
        None,
    ]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_conversations_survive_a_raw_export(tmp_path, ending):
    pair = {"prompt": TALK, "chosen": [assistant("yes")], "rejected": [assistant("no")]}
    import_preferences(slug="s", path=write(tmp_path / "a.jsonl", [pair, {**pair, "prompt": [user("S")]}]))
    call_command("export_preferences", study="s", format="raw", output=str(tmp_path / f"raw.{ending}"))
    import_preferences(slug="t", path=tmp_path / f"raw.{ending}")
    result = (
        Judgement.objects.filter(task__study__slug="t")
        .order_by("id")
        .values_list("task__prompt__messages", "order_known")
    )
    assert list(result) == [(TALK, False), (None, False)]


def test_labels_of_unpaired_feedback(tmp_path):
    rows = [{"prompt": [user(f"Q{n}")], "completion": [assistant("A" * n)], "label": bool(n % 2)} for n in range(6)]
    import_preferences(slug="s", path=write(tmp_path / "a.jsonl", rows))
    assert export(tmp_path / "o.jsonl", study="s", format="unpaired", conversational=True) == rows
    # The first of them is there already, as a file without raters may be a longer copy of another.
    more = [{**rows[1], "label": False}, *[{**rows[2], "label": label} for label in (False, False, True)]]
    import_preferences(slug="s", path=write(tmp_path / "b.jsonl", more))
    # One for and one against leaves nothing to say; two against one is the majority's label.
    exported = export(tmp_path / "o.jsonl", study="s", format="unpaired", conversational=True)
    assert exported == [row for row in rows if row is not rows[1]]


def test_models_get_the_messages_of_a_conversation(tmp_path):
    pair = {"prompt": TALK, "chosen": [assistant("yes")], "rejected": [assistant("no")]}
    import_preferences(slug="s", path=write(tmp_path / "a.jsonl", [pair]))
    (record,) = records_of(Judgement.objects.all())
    ((prompt, _text), _other) = items_of(Response.objects.all())
    for asked in (record.prompt, prompt, engine_prompt(Prompt.objects.get())):
        assert asked.messages == TALK
        assert asked == Prompt.objects.get().text
    assert not record.order_known
