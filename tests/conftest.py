"""Fixtures that every test may use. The database is a real PostgreSQL: the embedded one, or DATABASE_URL's."""

from pathlib import Path

import pytest
from django.test import override_settings
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# A slow machine is no failure: hypothesis would call an example of more than 200 ms one.
hypothesis_settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Few and long tests first: a file goes to one worker, and the last one should not leave the others idle."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/training/", "tests/browser/")))


@pytest.fixture
def shared() -> Path:
    """The folder of real data and models that may lie beside the checkout; without it the test skips."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, which is not beside this checkout")
    return SHARED


@pytest.fixture(autouse=True)
def quick_passwords():
    """Hashing a password is slow on purpose, and many tests have accounts."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True)
def in_english():
    """A page that was asked for in Chinese leaves its language to the thread, and so to the next test."""
    with translation.override("en"):
        yield
