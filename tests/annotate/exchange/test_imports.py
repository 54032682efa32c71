"""Prompts and judgements from files: what fits is stored once, what does not is named and changes nothing."""

import gzip
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from annotate.exchange.importers.judgements import import_judgements
from annotate.exchange.importers.prompts import import_prompts
from annotate.models.judgements import Judgement
from annotate.models.prompts import Prompt
from annotate.models.studies import Study
from core.errors import PalateError
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def json_lines(*rows):
    return "\n".join(json.dumps(row) for row in rows)


class TestPrompts:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("p.csv", "prompt_id,text\n1,one\n2,two\n"),
            ("p.csv.gz", "prompt_id,text\n1,one\n2,two\n"),
            ("p.csv", "\ufeffprompt_id,text\r\n1,one\r\n2,two\r\n"),
            ("p.jsonl", json_lines({"prompt_id": "1", "text": "one"}, {"prompt_id": 2, "text": "two"})),
        ],
    )
    def test_are_stored_once(self, write, name, content):
        counts = import_prompts(slug="s", file=write(name, content))
        assert (counts["prompts"], counts["study_created"]) == (2, True)
        again = import_prompts(slug="s", file=write(name, content))
        assert (again["prompts"], again["prompts_already_there"]) == (0, 2)
        assert list(Prompt.objects.values_list("external_id", "text")) == [("1", "one"), ("2", "two")]

    def test_train_and_test_columns(self, write):
        import_prompts(slug="s", file=write("data.csv", 'train,test\n"a, b",c\n"multi\nline",\n'))
        assert set(Prompt.objects.values_list("text", "split")) == {
            ("a, b", "train"), ("c", "test"), ("multi\nline", "train"),
        }  # fmt: skip

    def test_a_group_is_never_divided(self, write):
        rows = "".join(f"{n},text {n},topic {n % 42}\n" for n in range(210))
        import_prompts(slug="s", file=write("p.csv", "prompt_id,text,topic\n" + rows), group_by="topic")
        splits = Prompt.objects.order_by().values_list("group", "split").distinct()
        assert len(splits) == 42
        assert len({split for _, split in splits}) > 1

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("p.csv", "prompt_id,txt\n1,one\n", ["line 1", "'txt'", "did you mean 'text'"]),
            ("p.csv", "prompt_id,text\n1,one\n2,\n", ["line 3", "field text", "expected a text"]),
            ("p.csv", "prompt_id,text\n1,one\n2,   \n", ["line 3", "blank"]),
            ("p.csv", "prompt_id,text\n1,one\n2,two,three\n", ["line 3", "number of cells: 3; the header has 2"]),
            ("p.csv", "text,text\n1,one\n", ["line 1", "twice"]),
            ("p.csv", "", ["header"]),
            ("p.csv", "prompt_id,text\n", ["holds no rows"]),
            ("p.csv", "prompt_id,text\n1,caf\xe9\n".encode("latin-1"), ["line 2", "UTF-8"]),
            ("p.csv", 'text\n"open\n', ["CSV"]),
            ("p.jsonl", '{"text": "one"}\n{"text": \n', ["line 2", "not JSON"]),
            ("p.jsonl", '["one"]', ["line 1", "not an object"]),
            ("p.jsonl", '{"text": ' + "1" * 5000 + "}", ["line 1", "not JSON"]),
            ("p.jsonl", '{"text": "a\\u0000b"}', ["line 1", "NUL"]),
            ("p.jsonl", '{"text": 1.5}', ["line 1", "field text", "not a text"]),
            ("p.jsonl", '{"text": "one", "split": "exam"}', ["line 1", "field split"]),
            ("p.jsonl", '{"text": ' + "9" * 5000 + "}", ["line 1", "too many digits"]),
            ("p.csv", b"PK\x03\x04\0\0", ["line 1", "zip archive", "expected UTF-8"]),
            ("p.csv", "text\none\n".encode("utf-16"), ["line 1", "UTF-16"]),
            ("p.csv", "text\none\n".encode("utf-16-le"), ["line 1", "UTF-16"]),
            ("p.csv", gzip.compress(b"text\n" + b"one of many\n" * 99, mtime=0)[:-20], ["cut off"]),
        ],
    )
    def test_what_does_not_fit_is_named_and_nothing_is_written(self, write, name, content, words):
        with pytest.raises(PalateError) as error:
            import_prompts(slug="s", file=write(name, content))
        assert name in str(error.value)
        for word in words:
            assert word in str(error.value)
        assert not Study.objects.exists()

    def test_a_folder_a_missing_file_and_a_false_gzip(self, tmp_path):
        (tmp_path / "p.csv.gz").write_text("text\none\n")
        for file, words in (
            (tmp_path, "is a folder"), (tmp_path / "no.csv", "no such file"), (tmp_path / "p.csv.gz", "no gzip data"),
        ):  # fmt: skip
            with pytest.raises(PalateError, match=words):
                import_prompts(slug="s", file=file)


class TestOwner:
    def test_opens_what_a_command_imported_and_is_checked_first(self, write):
        file = write("p.csv", "text\none\n")
        with pytest.raises(CommandError, match="--owner nobody: no such account"):
            call_command("import_prompts", "s", file, owner="nobody")
        assert not Study.objects.exists()
        ada, eve = UserFactory(username="ada"), UserFactory(username="eve")
        for _ in range(2):
            call_command("import_prompts", "s", file, owner="ada")
        assert list(Study.objects.get().memberships.values_list("user", "role")) == [(ada.pk, "owner")]
        with pytest.raises(CommandError, match="ada owns it already"):
            call_command("import_prompts", "s", file, owner=eve.username)


PROMPTS = json_lines({"prompt_id": "p", "text": "prompt"})
RESPONSES = json_lines(*({"response_id": i, "prompt_id": "p", "text": f"text {i}", "author": "m"} for i in "abc"))


def judgement(**changes):
    row = {"prompt_id": "p", "shown": ["a", "b", "c"], "ranks": [1, 2, 2], "rater": "r1", **changes}
    return {name: value for name, value in row.items() if value is not None}


@pytest.fixture
def load(write):
    def load(*rows, **options):
        return import_judgements(
            slug="s",
            prompts=write("prompts.jsonl", PROMPTS),
            responses=write("responses.jsonl.gz", RESPONSES),
            judgements=write("judgements.jsonl", json_lines(*rows)),
            **options,
        )

    return load


class TestJudgements:
    def test_are_stored_once_in_the_order_shown(self, load):
        rows = [judgement(shown=["c", "a", "b"], comment="=1+1", seconds=3.5), judgement(rater="r2")]
        assert load(*rows)["judgements"] == 2
        counts = load(*rows)
        assert (counts["judgements"], counts["judgements_already_there"]) == (0, 2)
        first = Judgement.objects.order_by("id").first()
        ids = dict(first.task.responses.values_list("external_id", "pk"))
        assert (first.shown, first.ranks) == ([ids["c"], ids["a"], ids["b"]], [1, 2, 2])
        assert (first.rater.kind, first.comment, first.seconds) == ("imported", "=1+1", 3.5)
        assert first.task.slots_taken <= first.task.replication

    def test_many_are_known_to_the_planner_at_once(self, load):
        known = """SELECT n_distinct FROM pg_stats WHERE schemaname = current_schema()
            AND tablename = 'annotate_judgement' AND attname = 'task_id'"""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'annotate_judgement'::regclass")
            load(judgement())
            cursor.execute(known)
            assert cursor.fetchone() is None
            load(*(judgement(rater=f"r{number}") for number in range(1001)))
            cursor.execute(known)
            assert cursor.fetchone() == (1,)

    def test_the_table_of_judgements_is_not_read_again_for_each_of_them(self, load):
        scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'annotate_judgement'"

        def read_for(*rows):
            with connection.cursor() as cursor:
                cursor.execute(scans)
                (before,) = cursor.fetchone()
                load(*rows)
                cursor.execute(scans)
                return cursor.fetchone()[0] - before

        pairs = [("a", "b", "c"), ("a", "b"), ("a", "c"), ("b", "c")]
        few = read_for(judgement(shown=list(pairs[0]), ranks=[1, 2, 3]))
        many = read_for(*(judgement(shown=list(p), ranks=list(range(1, len(p) + 1)), rater="other") for p in pairs[1:]))
        assert many <= few

    def test_ids_may_be_numbers(self, write):
        counts = import_judgements(
            slug="s",
            prompts=write("prompts.jsonl", json_lines({"prompt_id": 7, "text": "prompt"})),
            responses=write(
                "responses.jsonl", json_lines(*({"response_id": i, "prompt_id": 7, "text": f"{i}"} for i in (1, 2)))
            ),
            judgements=write(
                "judgements.jsonl", json_lines(judgement(prompt_id=7, shown=[2, 1], ranks=[1, 2], rater=3))
            ),
        )
        assert counts["judgements"] == 1
        assert Judgement.objects.get().rater.external_id == "3"

    def test_scores_make_their_criterion(self, load):
        load(judgement(ranks=None, scores={"fluency": [1, 7, 3.5]}), scales={"fluency": (1, 7)})
        criterion = Study.objects.get().criteria.get()
        assert (criterion.key, criterion.minimum, criterion.maximum) == ("fluency", 1, 7)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"ranks": [1, 3, 3]}, ["field ranks"]),
            ({"ranks": [0, 1, 2]}, ["field ranks"]),
            ({"ranks": [1, 2]}, ["field ranks", "ranking of 3 responses"]),
            ({"ranks": [1, 2, True]}, ["field ranks"]),
            ({"ranks": "1,2,3"}, ["field ranks"]),
            ({"shown": ["a", "a", "b"]}, ["field shown"]),
            ({"shown": ["a", "b", "x"]}, ["field shown", "x"]),
            ({"prompt_id": "q"}, ["answers prompt", "'q'"]),
            ({"rater": None}, ["field rater"]),
            ({"ranks": None}, ["ranks"]),
            ({"scores": {"fluency": [1, 2]}}, ["field scores.fluency", "one number for each response, 3 in all"]),
            ({"scores": {"fluency": [1, 2, 101]}}, ["101"]),
            ({"scores": {"fluency": [1, 2, "high"]}}, ["high"]),
            ({"strength": 2}, ["field strength"]),
            ({"seconds": -1}, ["field seconds"]),
            ({"at": "yesterday"}, ["field at"]),
            ({"at": "9999-12-31T23:59:59-14:00"}, ["field at", "of the past"]),
            ({"at": "0001-01-01T00:00:00+14:00"}, ["field at", "of the past"]),
            ({"seconds": 10**400}, ["field seconds", "not a number"]),
            ({"seconds": 1e300}, ["field seconds", "from 0 to 1e+07"]),
            (
                {"scores": {"fluency": [1, 2, 10**400]}},
                ["field scores.fluency", "expected one number for each response, 3 in all"],
            ),
            ({"scores": {"fluency": [1, 2, float("nan")]}}, ["field scores.fluency", "nan"]),
            ({"scores": {"a b": [1, 2, 3]}}, ["field scores", "'a b'"]),
            ({"rank": [1, 2, 3]}, ["'rank'", "did you mean 'ranks'"]),
        ],
    )
    def test_what_does_not_fit_is_named_and_nothing_is_written(self, load, changes, words):
        with pytest.raises(PalateError) as error:
            load(judgement(), judgement(**{"rater": "r2", **changes}))
        assert "judgements.jsonl line 2" in str(error.value)
        for word in words:
            assert word in str(error.value)
        assert not Study.objects.exists()

    def test_rankings_of_three_with_scores_from_real_people(self, shared):
        folder = shared / "data" / "summaries"
        files = {name: next(folder.glob(f"{name}.jsonl*")) for name in ("prompts", "responses", "judgements")}
        counts = import_judgements(slug="summaries", **files)
        assert (counts["prompts"], counts["responses"], counts["judgements"]) == (100, 300, 300)
        assert {len(shown) for shown in Judgement.objects.values_list("shown", flat=True)} == {3}
        assert import_judgements(slug="summaries", **files)["judgements"] == 0
