"""The report of a preference model, against figures counted by hand."""

import math

import pytest

from core.records import Record
from training.engine.data.scripts import script_of
from training.engine.evaluation.report import report


class Fixed:
    """Rewards by text; a temperature of 1; `helpful` is the reward."""

    temperature = 1.0

    def __init__(self, rewards):
        self.rewards = rewards

    def score(self, items):
        return [self.rewards[text] for _, text in items]

    def criteria(self, items):
        return {"helpful": self.score(items)}


def judged(prompt, texts, ranks, rater, **more):
    return Record(prompt, f"g{prompt[0]}", prompt, texts, texts, ranks, rater, **more)


# Group gp: "aa" beats "b" 3:0, "b" and "cccc" are tied. Group gq: "d" beats "eee" 1:0.
RECORDS = [
    *(judged("p", ("aa", "b"), (1, 2), f"r{n}", authors=("ann", "bob")) for n in range(3)),
    judged("p", ("b", "cccc"), (1, 1), "r0"),
    judged("q", ("d", "eee"), (1, 2), "r0", scores={"helpful": (0.9, 0.1)}),
    judged("q", ("d", "eee"), None, "r1", scores={"helpful": (0.7, 0.2)}),
]
MODEL = Fixed({"aa": 2.0, "b": 0.0, "cccc": 1.0, "d": 0.0, "eee": 3.0})


@pytest.fixture(scope="module")
def found():
    return report(MODEL, RECORDS, calibration=RECORDS, linear=Fixed(dict.fromkeys(MODEL.rewards, 0.0)))


def sigma(x):
    return 1 / (1 + math.exp(-x))


def test_overall_and_by_margin(found):
    overall = found["overall"]
    assert (overall["pairs"], overall["tied"], overall["groups"]) == (2, 1, 2)
    assert overall["accuracy"] == {"value": 0.5, "low": None, "high": None}, "two groups tell too little of others"
    assert 0 < overall["ece_by_chance"] < 1
    losses = [-math.log(sigma(2)), -(math.log(sigma(1)) + math.log(sigma(-1))) / 2, -math.log(sigma(-3))]
    assert overall["log_loss"]["value"] == pytest.approx(sum(losses) / 3)
    # The scores of r1 order q's responses as r0 did: its margin is two.
    assert [(row["name"], row["pairs"], row["accuracy"]["value"]) for row in found["by"]["margin"]] == [
        ("2", 1, 0.0),
        ("3 or 4", 1, 1.0),
    ]
    assert found["by"]["margin"][0]["accuracy"]["low"] is None, "one group tells nothing of others"


def test_the_diagram_folds_to_the_likelier_winner(found):
    assert [row["pairs"] for row in found["reliability"]] == [1, 1, 1]
    assert [row["observed"]["value"] for row in found["reliability"]] == [0.5, 1.0, 0.0]
    assert found["reliability"][0]["predicted"] == pytest.approx(sigma(1))


def test_baselines_stand_beside_the_model(found):
    rows = {row["name"]: row for row in found["baselines"]}
    assert rows["model"]["accuracy"]["value"] == rows["longer"]["accuracy"]["value"] == 0.5
    assert rows["even"]["log_loss"]["value"] == rows["linear"]["log_loss"]["value"] == pytest.approx(math.log(2))
    # Shares of 1, 1/2 and 1 cost nothing, log 2 and nothing at best.
    assert rows["votes"]["log_loss"]["value"] == pytest.approx(math.log(2) / 3)


def test_length_and_the_most_confident_error(found):
    assert found["length"]["longer"]["value"] == 1.0
    assert found["length"]["longer_votes"]["value"] == 0.5
    assert found["length"]["accuracy_longer_won"]["value"] == 1.0
    assert found["length"]["accuracy_shorter_won"]["value"] == 0.0
    assert found["length"]["correlation"]["value"] > 0 > found["length"]["correlation_votes"]["value"]
    (error,) = found["errors"]
    assert (error["preferred"]["text"], error["other"]["text"]) == ("eee", "d")
    assert (error["preferred"]["votes"], error["other"]["votes"]) == (0, 2)
    assert error["probability"] == pytest.approx(sigma(3))


def test_criteria_against_the_raters_scores(found):
    (row,) = found["criteria"]
    assert (row["name"], row["responses"], row["scores"]) == ("helpful", 2, 4)
    assert (row["accuracy"]["value"], row["correlation"]["value"]) == (0.0, pytest.approx(-1.0))
    assert row["rater_vs_others"]["value"] == pytest.approx(0.6), "ranks 4 3 1 2 against 3 4 2 1"


def test_authors_scripts_and_groups_have_rows():
    records = [
        judged(f"{n} 你好", ("好", "x"), (1, 2) if n % 2 else (2, 1), "r", authors=("ann", "bob")) for n in range(20)
    ] + [judged(f"z{n}", ("yes", "no"), (1, 2), "r", authors=("ann", "ann")) for n in range(12)]
    found = report(Fixed({"好": 1.0, "x": 0.0, "yes": 1.0, "no": 0.0}), records, calibration=records)
    ann, bob = sorted(found["by"]["author"], key=lambda row: row["name"])
    assert (ann["pairs"], ann["won"]["value"]) == (20, 0.5), "pairs of one author are no contest"
    assert ann["predicted"]["value"] == pytest.approx(sigma(1))
    assert bob["predicted"]["value"] == pytest.approx(1 - sigma(1))
    assert [(row["name"], row["pairs"]) for row in found["by"]["group"]] == [("gz", 12), ("g1", 11)]
    assert sum(row["pairs"] for row in found["by"]["script"]) == 32


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Straße 12", "Latin"), ("你好 world, 世界和平", "Han"), ("こんにちは世界", "Kana (Japanese)"),
        ("안녕하세요", "Hangul"), ("Привет", "Cyrillic"), ("مرحبا", "Arabic"), ("42 !?", ""),
    ],
)  # fmt: skip
def test_writing_systems(text, script):
    assert script_of(text) == script
