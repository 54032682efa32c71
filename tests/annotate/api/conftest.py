import json

import pytest

from annotate.api.tokens import make_token
from annotate.models.api import Scope
from tests.factories import MembershipFactory


@pytest.fixture
def owner(db):
    return MembershipFactory(role="owner", study__slug="shop")


@pytest.fixture
def bearer(owner):
    """Headers of a token of the owner's, with the scopes asked for or all."""

    def bearer(*scopes, user=None):
        _token, text = make_token(user=user or owner.user, name="test", scopes=scopes or Scope.values)
        return {"Authorization": f"Bearer {text}"}

    return bearer


@pytest.fixture
def api(client, bearer):
    """Ask the API as the owner's program: api("POST", "studies/", {…}) gives the answer."""
    all_scopes = bearer()

    def api(method, path, data=None, headers=None):
        return client.generic(
            method,
            f"/api/v1/{path}",
            data=json.dumps(data) if data is not None else b"",
            content_type="application/json",
            headers=all_scopes if headers is None else headers,
        )

    return api
