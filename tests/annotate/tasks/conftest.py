"""A study with a rater who is signed in."""

import pytest

from tests.factories import MembershipFactory, StudyFactory


@pytest.fixture
def study():
    return StudyFactory(replication=2)


@pytest.fixture
def rater(study, client):
    rater = MembershipFactory(study=study)
    client.force_login(rater.user)
    return rater
