"""What people see when something does not work: a page of Palate's own that says what to do."""

import pytest
from django.test import Client

from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def text_of(answer):
    page = answer.content.decode()
    assert '<html lang="en"' in page
    assert 'href="/"' in page
    return page


def test_a_page_that_does_not_exist(client):
    client.force_login(UserFactory())
    for address in ("/nothing/", "/studies/no-such-study/rate/"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "There is nothing here" in text_of(answer)


def test_a_fault_of_ours_shows_nothing_of_it(client, monkeypatch):
    def fails(*_args):
        raise RuntimeError("secret")

    monkeypatch.setattr("annotate.web.studies.list_views.progress_of_all", fails, raising=True)
    client.raise_request_exception = False
    client.force_login(MembershipFactory().user)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "Something went wrong here" in text_of(answer)
    assert "secret" not in answer.content.decode()


def test_a_form_without_its_token():
    answer = Client(enforce_csrf_checks=True).post("/login/", {"username": "ada"})
    assert answer.status_code == 403
    assert "This page was open for too long" in text_of(answer)
