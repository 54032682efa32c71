"""The example in docs/reference/api.md, run against a real server as it stands there."""

import re
from pathlib import Path

import pytest

from annotate.api.tokens import make_token
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from tests.factories import MembershipFactory, UserFactory

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "api.md"


@pytest.mark.django_db(transaction=True)
def test_the_example_makes_a_study_and_pulls_its_pairs(live_server, monkeypatch, capsys):
    user = UserFactory(is_superuser=True)
    _token, text = make_token(user=user, name="docs", scopes=["read", "write", "export"])
    monkeypatch.setenv("PALATE_URL", live_server.url)
    monkeypatch.setenv("PALATE_TOKEN", text)
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1]
    assert len(example.splitlines()) <= 11
    before, after = example.split("# … raters judge")
    names = {}
    exec(before, names)  # noqa: S102
    assert "'tasks': 1" in capsys.readouterr().out
    rater = MembershipFactory(study=user.memberships.get().study)
    assignment = lease_next(rater=rater)
    submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
    exec("#" + after, names)  # noqa: S102
    assert '"chosen": ' in capsys.readouterr().out
