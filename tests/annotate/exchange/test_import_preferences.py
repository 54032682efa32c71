"""Files of other tools, and Palate's own, from the disk into a study."""

import gzip
import io
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from annotate.collection.judgements import Answer, adjudicate, correct, submit
from annotate.collection.leases import create_tasks, lease_next
from annotate.exchange.exporters.exports import RAW, raw_rows
from annotate.exchange.files import sources
from annotate.exchange.files.sources import Limits, rows
from annotate.exchange.importers import writer
from annotate.exchange.importers.column_mapping import parse_mapping
from annotate.exchange.importers.preferences import ImportOptions, import_preferences
from annotate.models.judgements import Judgement
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Study
from annotate.models.tasks import Task
from core.errors import PalateError
from tests.factories import CriterionFactory, MembershipFactory, PromptFactory, ResponseFactory, StudyFactory

pytestmark = pytest.mark.django_db
HOSTILE = [
    *("=1+1", "'quoted", "''", "+\t@", "a\nb\r\nc\rd", 'say "hi", twice'),
    *("\U0001f469\u200d\U0001f467 e\u0301 \u202e", "\ufeff x", "\uff0d1", " = "),
]


def write(path, *values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def responses(count, start=0, per_prompt=2):
    return [
        {"prompt_id": f"p{n // per_prompt}", "prompt": f"prompt {n // per_prompt}", "response": f"text {n}"}
        for n in range(start, start + count)
    ]


class TestRoundTrip:
    """What leaves as `raw` comes back the same, whatever the texts and the kind of file."""

    @pytest.fixture
    def study(self):
        study = StudyFactory(slug="from")
        CriterionFactory(study=study, key="clarity", minimum=1, maximum=7)
        simulated = MembershipFactory(study=study, user=None, external_id="sim", kind="simulated")
        raters = [MembershipFactory(study=study), simulated]
        for number, text in enumerate(HOSTILE):
            prompt = PromptFactory(study=study, text=text, group=text[:3], external_id=f"{number}{text}"[:40])
            pair = [ResponseFactory(prompt=prompt, text=f"{text}{n}", author_name=text) for n in "ab"]
            call = {"study": study, "response_sets": [pair]}
            create_tasks(**call)
        for rater in raters:
            for text in HOSTILE:
                scores = {"clarity": [1.5, 7]}
                answer = Answer(ranks=[2, 1], strength=2, comment=text, seconds=0.1, scores=scores, device="phone")
                judgement = submit(assignment=lease_next(rater=rater), answer=answer)
        twice = correct(judgement=judgement, answer=Answer(ranks=[1, 1], scores=scores, unacceptable=[True, False]))
        correct(judgement=twice, answer=Answer(ranks=[1, 2], scores=scores))
        expert = MembershipFactory(study=study, role="manager")
        adjudicate(task=judgement.task, expert=expert, shown=judgement.shown[::-1], answer=Answer([1, 2], scores))
        return study

    @pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
    def test_raw(self, study, tmp_path, ending, monkeypatch):
        monkeypatch.setattr(writer, "AT_A_TIME", 7)
        file = tmp_path / f"raw.{ending}"
        call_command("export_preferences", study="from", format="raw", output=str(file))
        counts = import_preferences(slug="to", path=file)
        assert (counts["judgements"], counts["bad_rows"]) == (2 * len(HOSTILE) + 3, 0)
        again = import_preferences(slug="to", path=file)
        assert (again["judgements"], again["judgements_already_there"]) == (0, counts["judgements"])
        assert comparable(study) == comparable(Study.objects.get(slug="to"))

    def test_a_folder_of_raw(self, study, tmp_path):
        output = str(tmp_path / "folder")
        call_command("export_preferences", study="from", format="raw", output=output, file_type="folder")
        import_preferences(slug="to", path=tmp_path / "folder")
        assert comparable(study) == comparable(Study.objects.get(slug="to"))


def comparable(study):
    """The raw rows in the order of time, judgements and raters numbered as they appear."""
    numbers, result = {}, []
    rows = [dict(zip(RAW, row, strict=True)) for row in raw_rows(study)]
    for values in sorted(rows, key=lambda values: (values["made_at"], values["position"])):
        for name in ("judgement", "supersedes", "rater"):
            if values[name] is not None:
                values[name] = numbers.setdefault((name == "rater", values[name]), len(numbers))
        # An account does not travel: a person comes back as an imported rater.
        values["rater_kind"] = values["rater_kind"].replace("person", "imported")
        result.append(values)
    return result


class TestImport:
    def test_adds_nothing_twice_and_goes_on_where_it_was(self, tmp_path):
        file = write(tmp_path / "a.jsonl", *responses(6))
        assert import_preferences(slug="s", path=file)["responses"] == 6
        write(file, *responses(10))
        counts = import_preferences(slug="s", path=file)
        assert (counts["prompts"], counts["responses"], counts["responses_already_there"]) == (2, 4, 6)

    def test_a_dry_run_counts_tells_the_first_errors_and_changes_nothing(self, tmp_path, capsys):
        file = write(tmp_path / "a.jsonl", *responses(3), {"prompt": "x"}, {"prompt": "p", "response": 1.5}, [1])
        call_command("import_preferences", "s", str(file), dry_run=True)
        printed = capsys.readouterr()
        assert "would be added: prompts 2, responses 3," in printed.out
        assert "3 rows are invalid" in printed.out
        for words in ("line 4, field response", "line 5, field response", "line 6: is not an object"):
            assert words in printed.err
        assert not Study.objects.exists()

    def test_is_all_or_nothing_unless_bad_rows_are_left_out(self, tmp_path, monkeypatch):
        monkeypatch.setattr(writer, "AT_A_TIME", 2)
        file = write(tmp_path / "a.jsonl", *responses(8), {"prompt_id": "p0", "prompt": "other", "response": "t"})
        with pytest.raises(PalateError, match=r"a\.jsonl line 9, field prompt: 'p0' stands there already"):
            import_preferences(slug="s", path=file)
        assert not Study.objects.exists()
        counts = import_preferences(slug="s", path=file, way=ImportOptions(skip_bad=True))
        assert (counts["responses"], counts["bad_rows"]) == (8, 1)

    def test_a_resumable_import_keeps_what_was_done_before_it_broke(self, tmp_path, monkeypatch):
        monkeypatch.setattr(writer, "AT_A_TIME", 2)
        file = write(tmp_path / "a.jsonl", *responses(8), {"prompt": "broken"})
        with pytest.raises(PalateError, match="line 9"):
            import_preferences(slug="s", path=file, way=ImportOptions(resumable=True))
        kept = Response.objects.count()
        assert 0 < kept <= 8
        write(file, *responses(9))
        counts = import_preferences(slug="s", path=file, way=ImportOptions(resumable=True))
        assert counts["responses"] == 9 - kept

    def test_raters_whom_the_source_does_not_name_stay_apart(self, tmp_path):
        pair = {"prompt": "Q", "chosen": "A", "rejected": "B"}
        file = write(tmp_path / "a.jsonl", pair, pair, {**pair, "chosen": "B", "rejected": "A"})
        assert import_preferences(slug="s", path=file)["raters"] == 3
        assert import_preferences(slug="s", path=file)["judgements"] == 0
        task = Task.objects.get()
        assert (task.slots_taken, task.replication, task.judgements.count()) == (3, 3, 3)

    def test_a_rater_who_judges_again_repeats_and_an_equal_row_counts_once(self, tmp_path):
        battle = {"model_a": "m", "model_b": "n", "judge": "j", "prompt": "Q", "response_a": "A", "response_b": "B"}
        again = [{**battle, "winner": winner, "tstamp": time} for winner, time in
                 (("model_b", 3e8), ("model_a", 1e8), ("model_a", 2e8), ("model_a", 2e8))]  # fmt: skip
        file = write(tmp_path / "a.jsonl", *again)
        counts = import_preferences(slug="s", path=file)
        assert (counts["judgements"], counts["repeats"], counts["duplicate_judgements"]) == (3, 2, 1)
        parts = Judgement.objects.order_by("made_at").values_list("part", "ranks")
        assert list(parts) == [("vote", [1, 2]), ("repeat", [1, 2]), ("repeat", [2, 1])]
        assert Task.objects.get().slots_taken == 1
        assert import_preferences(slug="s", path=file)["judgements"] == 0
        assert Judgement.objects.count() == 3

    def test_an_id_that_repeats_with_another_judgement_is_an_error(self, tmp_path):
        battle = {"question_id": 5, "model_a": "m", "model_b": "n", "judge": "j", "winner": "tie", "prompt": "Q"}
        rows = [{**battle, "response_a": a, "response_b": b} for a, b in ("AB", "AC")]
        file = write(tmp_path / "a.jsonl", *rows)
        with pytest.raises(PalateError, match=r"line 2, field judgement_id: the id 'arena:5' stands in this import"):
            import_preferences(slug="s", path=file)
        import_preferences(slug="s", path=write(tmp_path / "b.jsonl", rows[0]))
        with pytest.raises(PalateError, match="in the study already with another judgement"):
            import_preferences(slug="s", path=write(tmp_path / "c.jsonl", rows[1]))
        way = ImportOptions(mapping=parse_mapping([], ["question_id"]))
        assert import_preferences(slug="t", path=file, way=way)["judgements"] == 2

    def test_a_criterion_without_a_range_is_refused(self, tmp_path):
        file = write(tmp_path / "a.jsonl", {"prompt": "Q", "response": "A", "fluency": 3})
        way = ImportOptions(mapping=parse_mapping(["score:fluency=fluency"], []))
        with pytest.raises(PalateError, match="--scale fluency:MIN:MAX"):
            import_preferences(slug="s", path=file, way=way)
        import_preferences(slug="s", path=file, way=replace(way, scales={"fluency": (1, 5)}))
        assert Judgement.objects.get().scores == {"fluency": [3]}

    def test_responses_become_tasks(self, tmp_path):
        file = write(tmp_path / "a.jsonl", *responses(8, per_prompt=4))
        assert import_preferences(slug="s", path=file, way=ImportOptions(make_tasks=True))["tasks"] == 8
        assert import_preferences(slug="s", path=file, way=ImportOptions(make_tasks=True))["tasks"] == 0
        assert lease_next(rater=MembershipFactory(study=Study.objects.get())) is not None

    def test_scores_need_to_lie_on_the_scale(self, tmp_path):
        file = write(tmp_path / "a.jsonl", {"prompt": "Q", "completion": "A", "label": True})
        import_preferences(slug="s", path=file)
        study = Study.objects.get()
        assert (study.method, study.criteria.get().maximum) == ("score", 1)
        CriterionFactory(study=StudyFactory(slug="other", method="score"), key="label", minimum=2, maximum=3)
        with pytest.raises(PalateError, match=r"scores\.label: 1\.0 is not a number from 2 to 3"):
            import_preferences(slug="other", path=file)

    def test_ways_that_contradict_each_other(self, tmp_path):
        file = write(tmp_path / "a.jsonl", *responses(2))
        with pytest.raises(CommandError, match="--dry-run and --resumable"):
            call_command("import_preferences", "s", str(file), dry_run=True, resumable=True)


class TestSources:
    @pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.json", "a.parquet", "upload"])
    def test_every_kind_of_file(self, tmp_path, name):
        table = pa.table({"prompt": ["p, 1", "p\n2"], "response": ['"', "é"]})
        if "parquet" in name:
            pq.write_table(table, tmp_path / name)
        else:
            listed = table.to_pylist()
            data = json.dumps(listed) if name == "a.json" else "".join(json.dumps(r) + "\n" for r in listed)
            if ".csv" in name:
                data = 'prompt,response\r\n"p, 1",""""\r\n"p\n2",é\r\n'
            (tmp_path / name).write_bytes(gzip.compress(data.encode()) if name.endswith("gz") else data.encode())
        assert [row.values for row in rows(tmp_path / name)] == table.to_pylist()

    def test_a_datasets_folder_tells_the_split(self, tmp_path):
        for name in ("train-00000-of-00001", "test-00000-of-00001"):
            (tmp_path / "data").mkdir(exist_ok=True)
            pq.write_table(pa.table({"prompt": [name], "response": ["r"]}), tmp_path / "data" / f"{name}.parquet")
        import_preferences(slug="s", path=tmp_path)
        assert set(Prompt.objects.values_list("text", "split")) == {
            ("train-00000-of-00001", "train"), ("test-00000-of-00001", "test"),
        }  # fmt: skip

    @pytest.mark.parametrize(("name", "data", "words"), [
        ("a.jsonl", b"", "no rows"), ("a.csv", b"a,a\n1,2\n", "twice"), ("a.csv", b'a\n"x', "not CSV"),
        ("a.jsonl", b'{"a": "\xff"}', "UTF-8"), ("a.parquet", b"PAR1junk", "whole Parquet"),
        ("a.jsonl.gz", b"{}", "no gzip data"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-20], "damaged"),
        ("a.json", b"[1,", "not JSON"), ("a.json", b'[{"a": ' + b"1" * 5000 + b"}]", "too many digits"),
        ("a.csv", b"PK\x03\x04", "zip archive"), ("a.jsonl", '{"a": 1}'.encode("utf-16"), "UTF-16"),
    ])  # fmt: skip
    def test_what_is_no_table_is_named(self, tmp_path, name, data, words):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PalateError, match=words):
            list(rows(tmp_path / name))

    def test_limits_stop_bombs_before_they_unpack(self, tmp_path):
        bomb = tmp_path / "bomb.jsonl.gz"
        bomb.write_bytes(gzip.compress(b'{"prompt": "' + b"a" * 40_000_000 + b'"}\n'))
        with pytest.raises(PalateError, match="decompresses"):
            list(rows(bomb, Limits(ratio=10)))
        with pytest.raises(PalateError, match="a row of more than 1 MB"):
            list(rows(bomb, Limits(line_bytes=sources.MB)))
        table = io.BytesIO()
        pq.write_table(pa.table({"prompt": ["a" * 40_000_000]}), table, compression="zstd", use_dictionary=False)
        (tmp_path / "bomb.parquet").write_bytes(table.getvalue())
        with pytest.raises(PalateError, match="decompresses"):
            list(rows(tmp_path / "bomb.parquet", Limits(ratio=10)))
        # One text in the file, two thousand cells of it.
        pq.write_table(pa.table({"prompt": ["a" * 10_000] * 2000}), tmp_path / "same.parquet")
        with pytest.raises(PalateError, match="row 501: decompresses"):
            list(rows(tmp_path / "same.parquet", Limits(text_bytes=8 * sources.MB)))
        many = write(tmp_path / "many.jsonl", *responses(4))
        with pytest.raises(PalateError, match="more than 3 rows"):
            list(rows(many, Limits(rows=3)))
        with pytest.raises(PalateError, match="MB"):
            list(rows(many, Limits(file_bytes=10)))

    def test_a_folder_does_not_lead_elsewhere(self, tmp_path):
        write(tmp_path / "secret.jsonl", *responses(2))
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "train.jsonl").symlink_to(tmp_path / "secret.jsonl")
        with pytest.raises(PalateError, match="leads out"):
            list(rows(tmp_path / "data"))


def test_nothing_is_left_of_a_judgement_without_its_predecessor(tmp_path):
    study = StudyFactory(slug="from")
    file = tmp_path / "raw.jsonl"
    rater = MembershipFactory(study=study)
    prompt = PromptFactory(study=study)
    create_tasks(study=study, response_sets=[ResponseFactory.create_batch(2, prompt=prompt)])
    judgement = submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2]))
    correct(judgement=judgement, answer=Answer(ranks=[2, 1]))
    call_command("export_preferences", study="from", format="raw", output=str(file))
    file.write_text("".join(file.read_text().splitlines(keepends=True)[2:]))
    with pytest.raises(PalateError, match="is superseded"):
        import_preferences(slug="to", path=file)
    assert Judgement.objects.count() == 2


def test_eight_rated_texts_share_a_prompt_however_many_lines_they_take(tmp_path):
    file = tmp_path / "ratings.csv"
    file.write_text("text,rating\n" + "".join(f'"one\ntwo {n}",{n % 2}\n' for n in range(17)))
    import_preferences(slug="rated", path=file, way=ImportOptions(scales={"rating": (0, 1)}))
    assert [prompt.responses.count() for prompt in Prompt.objects.order_by("pk")] == [8, 8, 1]
