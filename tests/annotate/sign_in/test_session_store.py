"""A session that cannot be saved because the database died is no mistake of whoever asked."""

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.urls import reverse

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def status(client, settings):
    """The status of a page when `happens` comes before its session is written."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    client.raise_request_exception = False
    client.force_login(UserFactory())

    def ask(happens):
        def execute(run, sql, params, many, context):
            if sql.startswith('UPDATE "django_session"'):
                happens()
            return run(sql, params, many, context)

        with connection.execute_wrapper(execute):
            return client.get(reverse("account")).status_code

    return ask


def die():
    raise OperationalError("terminating connection due to unexpected postmaster exit")


def test_a_database_that_dies_is_an_error_of_the_server(status):
    assert status(die) == 500


def test_a_session_that_was_ended_meanwhile_is_not(status):
    assert status(Session.objects.all().delete) == 400
