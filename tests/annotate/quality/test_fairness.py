"""Groups of raters: what is shown, what never is, and what raters may say of themselves."""

import numpy as np
import pytest

from annotate.errors import PalateError
from annotate.members.erasure import erase_member
from annotate.quality.fairness import preferences, shown_groups
from annotate.quality.fairness_operations import set_groups
from annotate.standings.power import TARGET, needs
from annotate.standings.ranking import davidson
from annotate.standings.ranking.votes import votes_of
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
