"""Programs that some tests need beside Python's packages."""

import os
import shutil

import pytest


def program(*names: str, package: str) -> str:
    """The path of the first of these programs that is here. Without any the test skips; in the gate, which installs
    them, it fails."""
    for name in names:
        if found := shutil.which(name):
            return found
    if os.environ.get("PALATE_REQUIRE_TOOLS"):
        pytest.fail(f"{package} is not installed")
    pytest.skip(f"{package} is not installed")
