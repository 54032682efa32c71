import csv
import io
import json
import os
import unicodedata
import zipfile
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from annotate.collection.judgements import Answer, correct, submit
from annotate.collection.leases import lease_next
from annotate.exchange.exporters import exports, iterate
from annotate.exchange.exporters.policy import Policy
from annotate.exchange.exporters.trl_formats import Style
from annotate.exchange.files.tables import FILE_TYPES, FORMULA_STARTS, Table, csv_lines, original, safe
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

TEXTS = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@given(
    st.one_of(st.text(), st.builds(str.__add__, st.sampled_from(["\u200e=", "\u00ad+", *FORMULA_STARTS]), st.text()))
)
def test_cells_are_safe_and_give_the_text_back(text):
    assert original(safe(text)) == text
    assert not safe(text).startswith(FORMULA_STARTS[:-1])


# Default_Ignorable_Code_Point of Unicode 16 beyond the categories Cf, Cc and Z.
IGNORABLE = [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0]
for first, last in ((0x180B, 0x180F), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF)):
    IGNORABLE += range(first, last + 1)


def test_what_is_not_seen_hides_no_formula():
    kinds = ("Cf", "Cc", "Zs", "Zl", "Zp")
    unseen = {chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) in kinds} | set(map(chr, IGNORABLE))
    assert {"\u200e", "\u00ad", "\u061c", "\u202e", "\u2066", "\ufe0f"} < unseen
    for hidden in [*unseen, "\ufeff \f", "".join(sorted(unseen))]:
        for start in ("=", "@", "＝"):
            text = f"{hidden}{start}1+1"
            assert safe(text) == f"'{text}", f"U+{ord(hidden[0]):04X}"
            assert original(safe(text)) == text


def test_signs_of_all_widths_begin_formulas():
    signs = [chr(n) for n in range(0x110000) if unicodedata.normalize("NFKC", chr(n))[:1] in tuple("=+-@")]
    assert {"＝", "＋", "－", "＠"} < set(signs)
    assert [sign for sign in signs if not safe(f"\u200e{sign}1").startswith("'")] == []


@pytest.mark.parametrize("text", ["中文", "a=1", "\u200fنص", "\u00adb", "1", "é", "👩\u200d🔬", "(1)"])
def test_texts_of_people_stay_as_they_are(text):
    assert safe(text) == text


@given(st.lists(st.builds(lambda text, number: [text, number], TEXTS, st.none() | st.integers(0, 9)), max_size=4))
def test_every_kind_of_file_gives_the_rows_back(rows):
    files = {kind: b"".join(write(Table({"a": "text", "b": "int"}, rows))) for kind, write in FILE_TYPES.items()}
    read = list(csv.reader(io.StringIO(files["csv"].decode(), newline="")))
    assert [[original(a), int(b) if b else None] for a, b in read[1:]] == rows
    assert [list(json.loads(line).values()) for line in files["jsonl"].decode().split("\n") if line.strip()] == rows
    assert [list(row.values()) for row in pq.read_table(io.BytesIO(files["parquet"])).to_pylist()] == rows


def judge(rater, best, *, loses=False, **answer):
    """The rater's answer to the next task: `best` wins, or loses; both tie when it is not there."""
    assignment = lease_next(rater=rater)
    ranks = [(pk == best) == loses for pk in assignment.shown]
    return submit(assignment=assignment, answer=Answer(ranks=[int(r) + 1 for r in ranks], **answer))


@pytest.fixture
def study(db):
    """One pair judged by three raters, 2 to 1, of whom one corrected herself; one pair with a tie."""
    study = StudyFactory(slug="shop")
    clear, _tied = TaskFactory(study=study), TaskFactory(study=study)
    best = clear.responses.order_by("pk").first().pk
    for number in range(3):
        rater = MembershipFactory(study=study)
        judgement = judge(rater, best, loses=number != 1)
        if number == 0:
            correct(judgement=judgement, answer=Answer(ranks=judgement.ranks[::-1], comment="=cmd()"))
        submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 1]))
    return study


def rows_of(study, form, **options):
    table = exports.table(study, form, **options)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_raw_has_a_row_for_each_judgement_and_response_history_included(study):
    rows = rows_of(study, "raw")
    assert len(rows) == 7 * 2
    assert sum(not row["live"] for row in rows) == 2
    assert not any(m.user.username in map(str, row.values()) for m in study.memberships.all() for row in rows)


class TestPairs:
    def test_count_live_votes_and_leave_out_what_has_no_winner(self, study):
        policy = Policy()
        (row,) = rows_of(study, "pairs", policy=policy)
        assert (row["votes_for"], row["votes_against"], row["margin"], row["raters"]) == (2, 1, 1, 3)
        assert (row["simulated_raters"], row["chosen"]) == (
            0,
            row["chosen_id"].replace("response-", "Answer number ") + ".",
        )
        assert row["agreement"] == pytest.approx(2 / 3, abs=1e-6)
        assert row["weight"] == pytest.approx(1 / 3, abs=1e-6)
        assert policy.left_out == {"ties": 1}
        assert len(rows_of(study, "pairs", policy=Policy(ties="keep"))) == 2
        assert rows_of(study, "pairs", split="test") == []

    def test_votes_are_whole_numbers_in_a_file_unless_they_count_in_parts(self, study):
        class Trusted(Policy):
            def pairs(self, records):
                for pair in super().pairs(records):
                    pair.votes = [replace(vote, votes=0.7) for vote in pair.votes]
                    yield pair

        def figures(policy):
            lines = b"".join(csv_lines(exports.table(study, "pairs", policy=policy))).decode().splitlines()
            (row,) = csv.DictReader(lines)
            return [row[name] for name in ("votes_for", "votes_against", "ties", "margin", "agreement", "raters")]

        assert figures(Policy()) == ["2", "1", "0", "1", "0.666667", "3"]
        assert figures(Trusted()) == ["1.4", "0.7", "0", "0.7", "0.666667", "3"]

    @pytest.mark.parametrize(
        ("policy", "why"),
        [({"min_agreement": 0.7}, "low agreement"), ({"min_raters": 4}, "few raters")],
    )
    def test_what_is_not_clear_enough_is_left_out_and_counted(self, study, policy, why):
        policy = Policy(**policy)
        assert rows_of(study, "pairs", policy=policy) == []
        assert policy.left_out[why] >= 1

    def test_votes_between_two_unacceptable_responses_do_not_count_unless_asked(self, db):
        study = StudyFactory()
        best = TaskFactory(study=study).responses.order_by("pk").first().pk
        judge(MembershipFactory(study=study), best)
        judge(MembershipFactory(study=study), best, loses=True, unacceptable=[True, True])
        judge(MembershipFactory(study=study), best, loses=True, unacceptable=[True, True])
        (dropped,) = rows_of(study, "pairs")
        (kept,) = rows_of(study, "pairs", policy=Policy(unacceptable="keep"))
        assert (dropped["votes_for"], dropped["votes_against"]) == (1, 0)
        assert (kept["votes_for"], kept["votes_against"]) == (2, 1)
        assert kept["chosen_id"] == dropped["rejected_id"]

    def test_many_prompts_are_walked_in_pieces(self, study, monkeypatch):
        whole = rows_of(study, "raw")
        monkeypatch.setattr(iterate, "PROMPTS_AT_A_TIME", 1)
        assert rows_of(study, "raw") == whole


def test_rankings_and_scores(db):
    study = StudyFactory()
    CriterionFactory(study=study, key="clarity")
    task = TaskFactory(study=study, k=3)
    order = list(task.responses.order_by("pk").values_list("pk", flat=True))
    for shift in (0, 1):
        assignment = lease_next(rater=MembershipFactory(study=study))
        places = [order.index(pk) for pk in assignment.shown]
        scores = {"clarity": [place + 1 + shift for place in places]}
        submit(assignment=assignment, answer=Answer(ranks=[[1, 2, 2][place] for place in places], scores=scores))
    rankings, scores = rows_of(study, "rankings"), rows_of(study, "scores")
    names = list(task.responses.order_by("pk").values_list("external_id", flat=True))
    assert [row["ranks"] for row in rankings] == [[1, 2, 2]] * 2
    assert {row["response_ids"][0] for row in rankings} == {names[0]}
    assert [(row["response_id"], row["mean"], row["raters"]) for row in scores] == [
        (names[0], 1.5, 2), (names[1], 2.5, 2), (names[2], 3.5, 2),
    ]  # fmt: skip
    assert scores[0]["deviation"] == pytest.approx(0.5**0.5)


class TestTrainingData:
    def test_preference(self, study):
        (row,) = rows_of(study, "preference", policy=Policy(ties="keep"))
        (pair,) = rows_of(study, "pairs")
        assert row == {"prompt": pair["prompt"] + "\n", "chosen": pair["chosen"], "rejected": pair["rejected"]}
        (implicit,) = rows_of(study, "preference", style=Style(prompt="implicit"))
        assert implicit == {name: f"{pair['prompt']}\n{pair[name]}" for name in ("chosen", "rejected")}
        (messages,) = rows_of(study, "preference", style=Style(texts="conversational", prompt="implicit"))
        assert messages["chosen"] == [
            {"role": "user", "content": pair["prompt"]}, {"role": "assistant", "content": pair["chosen"]},
        ]  # fmt: skip

    def test_unpaired_and_prompts(self, study):
        (pair,) = rows_of(study, "pairs")
        rows = [(row["completion"], row["label"]) for row in rows_of(study, "unpaired")]
        assert set(rows) == {
            (pair["chosen"], True),
            (pair["rejected"], False),
        }
        assert len(rows_of(study, "prompts")) == 2


class TestCommand:
    def test_writes_what_a_spreadsheet_may_open(self, study, tmp_path):
        file = tmp_path / "raw.csv"
        call_command("export_preferences", study=study.slug, format="raw", output=str(file))
        with file.open(newline="") as opened:
            comments = {row["comment"] for row in csv.DictReader(opened)}
        assert comments == {"", "'=cmd()"}

    def test_the_ending_tells_the_file_type(self, study, tmp_path):
        for ending in ("jsonl", "parquet"):
            call_command("export_preferences", study="shop", format="pairs", output=str(tmp_path / f"p.{ending}"))
        (row,) = rows_of(study, "pairs")
        assert json.loads((tmp_path / "p.jsonl").read_text()) == row
        assert pq.read_table(tmp_path / "p.parquet").to_pylist() == [row]

    def test_a_pipe_is_written_into_and_stays_a_pipe(self, study, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            call_command("export_preferences", study="shop", format="pairs", output=str(pipe), file_type="jsonl")
            assert json.loads(os.read(reader, 100_000)) == rows_of(study, "pairs")[0]
        finally:
            os.close(reader)
        assert pipe.is_fifo()
        assert [path.name for path in tmp_path.iterdir()] == ["pipe"]

    def test_a_folder_with_card_and_hashes_and_no_half_folder_after_a_mistake(self, study, tmp_path):
        options = {"study": "shop", "format": "preference", "file_type": "folder"}
        call_command("export_preferences", output=str(tmp_path / "data"), **options)
        manifest = json.loads((tmp_path / "data/palate.json").read_text())
        assert manifest["rows"] == {"train": 1}
        assert manifest["left_out"] == {"ties": 1}
        assert "path: data/train.parquet" in (tmp_path / "data/README.md").read_text()
        assert len(pq.read_table(tmp_path / "data/data/train.parquet")) == 1
        with pytest.raises(CommandError, match="never overwritten"):
            call_command("export_preferences", output=str(tmp_path / "data"), **options)
        with pytest.raises(CommandError, match="nothing to export"):
            call_command("export_preferences", output=str(tmp_path / "none"), min_raters=9, **options)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


class TestPage:
    def get(self, client, study, path, **query):
        client.force_login(MembershipFactory(study=study, role="manager").user)
        return client.get(path, query, follow=True)

    def test_the_form_leads_to_the_export(self, client, study):
        answer = self.get(
            client, study, reverse("export-choose", args=["shop"]), format="pairs", file_type="jsonl", ties="keep"
        )
        assert answer["Content-Disposition"] == 'attachment; filename="shop-pairs.jsonl"'
        assert len(b"".join(answer.streaming_content).splitlines()) == 2

    def test_a_folder_comes_as_a_zip(self, client, study):
        answer = self.get(client, study, reverse("export", args=["shop", "unpaired", "zip"]))
        archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
        assert archive.testzip() is None
        assert "shop-unpaired/palate.json" in archive.namelist()
        assert len(pq.read_table(io.BytesIO(archive.read("shop-unpaired/data/train.parquet")))) == 2

    @pytest.mark.parametrize(("form", "kind", "query", "status"), [
        ("secrets", "csv", {}, 400), ("pairs", "exe", {}, 400), ("pairs", "csv", {"min_agreement": "2"}, 400),
        ("pairs", "zip", {"min_raters": "9"}, 422),
    ])  # fmt: skip
    def test_what_is_no_export_is_refused(self, client, study, form, kind, query, status):
        assert self.get(client, study, reverse("export", args=["shop", form, kind]), **query).status_code == status


def test_csv_of_an_empty_table_is_its_header():
    assert b"".join(csv_lines(Table({"a": "text", "b": "int"}, []))) == b"a,b\r\n"
