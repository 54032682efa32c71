"""Every agreement figure of the page, on studies that are hard, beside the reference libraries: read from the database
by a few plain loops, and computed by krippendorff and scipy."""

import csv
import io
from collections import defaultdict
from itertools import combinations

import krippendorff
import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from annotate.models.judgements import Judgement
from tests.annotate import nasty
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
EXACT = 1e-9


@pytest.fixture
def result(client):
    """What `quality.csv` tells: (section, row, name of the figure's kind by its place) to value."""

    def result(study):
        client.force_login(MembershipFactory(study=study, role="owner").user)
        rows = csv.DictReader(io.StringIO(client.get(f"/studies/{study.slug}/quality.csv").content.decode()))
        found = defaultdict(list)
        for row in rows:
            found[row["section"], row["row"]].append(float(row["value"]) if row["value"] else None)
        return found

    return result


def votes(study):
    of = Judgement.objects.filter(task__study=study, live=True, part="vote").select_related("task__prompt")
    return list(of.order_by("pk"))


def alpha(output, level):
    """said: unit to {rater: value}."""
    raters = sorted({rater for of in output.values() for rater in of})
    table = np.full((len(raters), len(output)), np.nan)
    for column, of in enumerate(output.values()):
        for rater, value in of.items():
            table[raters.index(rater), column] = value
    return krippendorff.alpha(reliability_data=table, level_of_measurement=level)


def same(output):
    return np.mean([one == other for of in output.values() for one, other in combinations(of.values(), 2)])


def choices(judged, *, by=lambda vote: 0):
    """Unit (task, two responses, part) to what each rater says of them: -1, 0 or 1."""
    output = defaultdict(dict)
    for vote in judged:
        rank = dict(zip(vote.shown, vote.ranks, strict=True))
        for a, b in combinations(sorted(rank), 2):
            output[vote.task_id, a, b, by(vote)][vote.rater_id] = np.sign(rank[b] - rank[a])
    return output


def ranks(judged, *, by=lambda vote: 0):
    output = defaultdict(dict)
    for vote in judged:
        for response, rank in zip(vote.shown, vote.ranks, strict=True):
            output[vote.task_id, response, by(vote)][vote.rater_id] = rank
    return output


def scores(judged, key):
    output = defaultdict(dict)
    for vote in judged:
        for response, score in zip(vote.shown, vote.scores.get(key, ()), strict=key in vote.scores):
            output[vote.task_id, response][vote.rater_id] = score
    return output


def w(output):
    """Of said[task, response, part]: scipy's Friedman statistic over its largest value, the mean over tasks."""
    tasks = defaultdict(list)
    for (task, _response, part), of in output.items():
        tasks[task, part].append([of[rater] for rater in sorted(of)])
    found = []
    for rows in tasks.values():
        raters = len(rows[0])
        if raters > 1 and any(len(set(of)) > 1 for of in zip(*rows, strict=True)):
            found.append(friedmanchisquare(*rows).statistic / (raters * (len(rows) - 1)))
    return np.mean(found)


def test_seven_criteria_of_different_scales_with_gaps(result):
    study = nasty.seven_criteria(prompts=16)
    found, judged = result(study), votes(study)
    assert len(nasty.SEVEN) == 7
    for key in nasty.SEVEN:
        output = scores(judged, key)
        assert found["criteria", key.title()][:2] == pytest.approx([alpha(output, "ordinal"), same(output)], abs=EXACT)
    # What the first criterion's scores imply of every two responses to a prompt, by one rater.
    by_rater = defaultdict(dict)
    for vote in judged:
        by_rater[vote.task.prompt_id, vote.rater_id][vote.shown[0]] = vote.scores["overall"][0]
    implied = defaultdict(dict)
    for (prompt, rater), given in by_rater.items():
        for a, b in combinations(sorted(given), 2):
            implied[prompt, a, b][rater] = np.sign(given[a] - given[b])
    assert found["agreement", "raw agreement"] == [pytest.approx(same(implied), abs=EXACT)]
    assert found["agreement", "Krippendorff's α, choices"] == [pytest.approx(alpha(implied, "nominal"), abs=EXACT)]
    for number in range(3):
        own = {prompt.pk for prompt in study.prompts.filter(group=f"group {number}")}
        part = {unit: of for unit, of in implied.items() if unit[0] in own}
        graded = scores([vote for vote in judged if vote.task.prompt_id in own], "overall")
        expected = [same(part), alpha(part, "nominal"), alpha(graded, "ordinal")]
        assert found["groups", f"group {number}"] == pytest.approx(expected, abs=EXACT)


def test_rankings_with_many_ties(result):
    study = nasty.ties_everywhere(prompts=18)
    found, judged = result(study), votes(study)

    def expected(of, **apart):
        output, ranked = choices(of, **apart), ranks(of, **apart)
        return pytest.approx([same(output), alpha(output, "nominal"), alpha(ranked, "ordinal"), w(ranked)], abs=EXACT)

    names = ("raw agreement", "Krippendorff's α, choices", "Krippendorff's α, ranks", "Kendall's W")
    assert [found["agreement", name][0] for name in names] == expected(judged)
    for group in nasty.GROUPS:
        assert found["groups", group] == expected([vote for vote in judged if vote.task.prompt.group == group])
    for tag in (*nasty.LANGUAGES, "expert"):
        assert found["audience", tag] == expected([vote for vote in judged if tag in vote.task.prompt.audience])
    weeks = [row for section, row in found if section == "weeks"]
    assert len(weeks) > 3
    for week in weeks:
        own = [vote for vote in judged if f"{vote.made_at:%G-W%V}" == f"{np.datetime64(week).item():%G-W%V}"]
        assert found["weeks", week] == expected(own)
    clear = scores(judged, "clear")
    by_task = {(*unit, 0): of for unit, of in clear.items()}
    assert found["criteria", "Clear"] == pytest.approx([alpha(clear, "ordinal"), same(clear), w(by_task)], abs=EXACT)


@pytest.mark.parametrize("make", nasty.DEGENERATE, ids=lambda make: make.__name__)
def test_a_study_that_says_little_has_an_answer_on_every_page(client, make):
    study = make()
    client.force_login(MembershipFactory(study=study, role="owner").user)
    paths = ["quality/", "quality.csv", "quality/raters/", "quality/raters.csv", "quality/fairness/", "report/"]
    paths += ["quality/machines/", "standings/", "standings.csv", "standings/?model=plackett-luce"]
    paths += ["standings/?weights=reliability", "standings/?interval=bootstrap"]
    paths += ["standings/?controls=length&controls=style&controls=position"]
    paths += [f"standings/?prompt={study.prompts.first().pk}"]
    paths += [f"standings/?criterion={criterion.key}" for criterion in study.criteria.all()[:3]]
    paths += [f"quality/raters/{rater.pk}/" for rater in study.memberships.filter(role="rater")[:1]]
    for path in paths:
        answer = client.get(f"/studies/{study.slug}/{path}")
        assert answer.status_code == 200, path
        words = answer.content.decode().replace("<", " ").replace(">", " ").replace(",", " ").lower().split()
        assert not {"nan", "inf", "-inf"} & set(words), path
