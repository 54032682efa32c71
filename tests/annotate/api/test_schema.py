"""The OpenAPI schema in the repository is the one that the code makes, and the code keeps it."""

import json
from pathlib import Path

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from palate.wsgi import application
from tests.factories import TaskFactory

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SNAPSHOT = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"


def test_the_snapshot_is_current(tmp_path):
    """After a change: manage.py spectacular --format openapi-json --file docs/reference/openapi.json --validate"""
    made = tmp_path / "openapi.json"
    call_command("spectacular", format="openapi-json", file=str(made), validate=True, fail_on_warn=True)
    assert json.loads(made.read_text()) == json.loads(SNAPSHOT.read_text())


@pytest.fixture
def one_connection():
    """The WSGI application must not close the connection on which the test's transaction is."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


schema = schemathesis.openapi.from_dict(json.loads(SNAPSHOT.read_text()))
schema.app = application


@pytest.mark.django_db
@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_breaks_the_server_or_the_schema(case, owner, bearer, one_connection):
    if "slug" in (case.path_parameters or {}):
        case.path_parameters["slug"] = "shop"
        if not owner.study.tasks.exists():
            TaskFactory(study=owner.study)
    case.call_and_validate(headers=bearer(), checks=CHECKS)
