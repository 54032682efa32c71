import csv
import io

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from annotate.exchange.exports import FORMULA_STARTS, PAIR_COLUMNS, lines, original, pair_rows, raw_rows, safe
from annotate.judgements.operations import Answer, correct, submit
from annotate.tasks.operations import lease_next
from tests.factories import MembershipFactory, StudyFactory, TaskFactory


@given(st.one_of(st.text(), st.builds(str.__add__, st.sampled_from(FORMULA_STARTS), st.text())))
def test_cells_are_safe_and_give_the_text_back(text):
    assert original(safe(text)) == text
    assert not safe(text).startswith(FORMULA_STARTS[:-1])


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_csv_gives_the_text_back(text):
    read = list(csv.reader(io.StringIO("".join(lines(["a", "b"], [[text, 1]])), newline="")))
    assert original(read[1][0]) == text


@pytest.fixture
def study(db):
    """One pair judged by three raters, 2 to 1, of whom one corrected herself; one pair with a tie."""
    study = StudyFactory()
    clear, _tied = TaskFactory(study=study), TaskFactory(study=study)
    best = clear.responses.order_by("pk").first().pk
    for number in range(3):
        rater = MembershipFactory(study=study)
        assignment = lease_next(rater=rater)
        wins = number < 2
        ranks = [1 if (pk == best) == wins else 2 for pk in assignment.shown]
        judgement = submit(assignment=assignment, answer=Answer(ranks=ranks[::-1] if number == 0 else ranks))
        if number == 0:
            correct(judgement=judgement, answer=Answer(ranks=ranks, comment="=cmd()"))
        submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 1]))
    return study


def test_raw_has_a_row_for_each_judgement_and_response_history_included(study):
    rows = list(raw_rows(study))
    assert len(rows) == 7 * 2
    assert sum(row[1] == 0 for row in rows) == 2
    assert not any(member.user.username in map(str, row) for member in study.memberships.all() for row in rows)


def test_pairs_count_live_votes_and_leave_out_what_has_no_winner(study):
    (row,) = [dict(zip(PAIR_COLUMNS, row, strict=True)) for row in pair_rows(study)]
    assert (row["votes_for"], row["votes_against"], row["margin"], row["raters"]) == (2, 1, 1, 3)
    assert row["simulated_raters"] == 0
    assert len(list(pair_rows(study, keep_ties=True))) == 2
    assert list(pair_rows(study, split="test")) == []


def test_the_command_writes_what_a_spreadsheet_may_open(study, tmp_path):
    file = tmp_path / "raw.csv"
    call_command("export_preferences", study=study.slug, format="raw", output=str(file))
    with file.open(newline="") as opened:
        comments = {row["comment"] for row in csv.DictReader(opened)}
    assert comments == {"", "'=cmd()"}
