"""Groups of raters: what is shown, what never is, and what raters may say of themselves."""

import numpy as np
import pytest

from annotate.analytics.agreement.power import agreement_sample_size
from annotate.analytics.fairness import preferences, shown_groups
from annotate.analytics.ranking import davidson
from annotate.analytics.ranking.power import TARGET, needs
from annotate.analytics.ranking.votes import votes_of
from annotate.members.erasure import erase_member
from annotate.members.rater_groups import set_groups
from core.errors import PalateError
from tests.annotate import nasty
from tests.annotate.quality.test_statistics import comparisons
from tests.factories import MembershipFactory, StudyFactory


def test_small_groups_are_never_shown_nor_given_away():
    groups = {**dict.fromkeys(range(12), "a"), **dict.fromkeys(range(12, 30), "b"), **dict.fromkeys(range(30, 33), "c")}
    # Three of c: alone they are hidden, but the total minus a and b would show them, so a is held back as well.
    shown = shown_groups(groups, range(33), 10)
    assert (set(shown.groups), shown.hidden) == ({"b"}, True)
    # Eight who declared nothing hide them well enough.
    shown = shown_groups(groups, range(41), 10)
    assert (set(shown.groups), shown.hidden) == ({"a", "b"}, True)
    shown = shown_groups(groups, range(30), 10)
    assert (set(shown.groups), shown.hidden) == ({"a", "b"}, False)


def test_groups_that_want_different_things_are_shown_to():
    rng = np.random.default_rng(0)
    rater = np.repeat(np.arange(40), 30)
    label = rater % 2
    outcome = (rng.random(1200) < np.where(label == 0, 0.7, 0.4)) * 1.0
    zero = np.zeros(1200, int)
    found = preferences(zero, zero + 1, outcome, label, rater, ["x", "y"], ["p", "q"])
    first = found[0]
    assert (first.author, first.group, first.share.n, first.differs) == ("x", "p", 600, True)
    assert first.difference.low <= 0.3 <= first.difference.high
    assert found[0].difference.value == pytest.approx(-found[1].difference.value)
    alike = preferences(zero, zero + 1, (rng.random(1200) < 0.5) * 1.0, label, rater, ["x", "y"], ["p", "q"])
    assert not any(one.differs for one in alike)


def test_of_many_differences_only_those_beyond_doubt_stand():
    """Twelve groups, six authors and no difference: intervals one by one would name some."""
    rng = np.random.default_rng(1)
    left = rng.integers(6, size=3000)
    right = (left + rng.integers(1, 6, size=3000)) % 6
    outcome, label = (rng.random(3000) < 0.5) * 1.0, rng.integers(12, size=3000)
    groups = [f"g{k}" for k in range(12)]
    found = preferences(left, right, outcome, label, np.arange(3000) // 5, list("abcdef"), groups)
    assert sum(one.difference.excludes(0) for one in found) > 1
    assert not any(one.differs for one in found)


def test_how_many_more_judgements_until_agreement_is_known():
    """Pairs of raters who are right three times out of four on one of two answers: α is 1/4, and the variance of the
    share of agreeing pairs among T tasks (5/8 · 3/8) / T; α is twice that share, less one."""
    rng = np.random.default_rng(0)
    task = np.repeat(np.arange(200), 2)
    truth = rng.integers(2, size=200)[task]
    output = np.where(rng.random(400) < 0.75, truth, 1 - truth)
    of = comparisons(task, np.tile([0, 1], 200), output)
    enough = agreement_sample_size(of, 400, target=0.05)
    half = 1.96 * 2 * np.sqrt(5 / 8 * 3 / 8 / 200)
    assert enough.now.value == pytest.approx(0.25, abs=2 * half)
    assert enough.half_width == pytest.approx(half, rel=0.2)
    assert enough.more == pytest.approx(400 * ((half / 0.05) ** 2 - 1), rel=0.4)
    assert agreement_sample_size(of, 400, target=0.5).more == 0
    assert agreement_sample_size(of[:2], 2, target=0.05) is None


def test_how_many_more_votes_by_simulation():
    rng = np.random.default_rng(0)
    outcome = (rng.random(100) < 0.5) * 1.0
    votes = votes_of(2, np.zeros(100, int), np.ones(100, int), outcome)
    (need,) = needs(votes, davidson.fit(votes))
    # Half-width 0.05 of a share near one half takes 1.96² · 0.25 / 0.05² = 384 votes.
    assert need.half_width == pytest.approx(1.96 * 0.05, abs=0.01)
    assert 200 < need.more < 380
    many = votes_of(2, *(np.tile(of, 10) for of in (votes.left, votes.right, outcome)))
    (enough,) = needs(many, davidson.fit(many))
    assert (enough.more, enough.half_width < TARGET) == (0, True)


@pytest.mark.django_db
def test_raters_say_what_they_like_and_take_it_back(client):
    study = StudyFactory(slug="shop")
    set_groups(study=study, groups=["native", "learner"], minimum=5)
    rater = MembershipFactory(study=study)
    client.force_login(rater.user)
    assert "native" in client.get("/studies/shop/about-me/").content.decode()
    client.post("/studies/shop/about-me/", {"group": "native"})
    rater.refresh_from_db()
    assert rater.declared_group == "native"
    assert client.post("/studies/shop/about-me/", {"group": "martian"}).status_code == 422
    client.post("/studies/shop/about-me/", {"group": ""})
    rater.refresh_from_db()
    assert rater.declared_group == ""


@pytest.mark.django_db
def test_an_erased_rater_has_declared_nothing():
    rater = MembershipFactory(declared_group="native")
    erase_member(member=rater)
    rater.refresh_from_db()
    assert rater.declared_group == ""


@pytest.mark.django_db
def test_groups_are_set_by_managers(client):
    study = StudyFactory(slug="shop")
    rater = MembershipFactory(study=study, declared_group="old")
    client.force_login(MembershipFactory(study=study, role="manager").user)
    answer = client.post("/studies/shop/quality/fairness/", {"groups": "native\nlearner\n", "minimum": 8})
    assert answer.status_code == 302
    study.refresh_from_db()
    rater.refresh_from_db()
    assert (study.rater_groups, study.group_minimum, rater.declared_group) == (["native", "learner"], 8, "")
    for wrong in ({"groups": "one", "minimum": 8}, {"groups": "a\nb", "minimum": 2}):
        assert client.post("/studies/shop/quality/fairness/", wrong).status_code == 422
    with pytest.raises(PalateError):
        set_groups(study=study, groups=["a", "b"], minimum=4)


@pytest.mark.django_db
def test_the_page_tells_what_the_whole_study_needs_or_why_it_cannot(client):
    for make, words in (
        (nasty.ties_everywhere, "every pair of authors"),
        (nasty.never_loses, "somebody never lost or never won"),
        (nasty.in_two_parts, "parts that were never compared"),
    ):
        study = make()
        client.force_login(MembershipFactory(study=study, role="owner").user)
        page = client.get(f"/studies/{study.slug}/quality/fairness/").content.decode()
        assert "Judgements still needed" in page
        assert words in page
