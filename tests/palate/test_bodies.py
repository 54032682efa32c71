"""What a request may send, by the view that it is for and by who sends it; too much is refused before it is read."""

import io
import os
import socket
import time
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, RequestFactory
from django.urls import reverse

from annotate.collection.leases import lease_next
from annotate.exchange.importers.stored_uploads import new_upload, upload_folder
from annotate.privacy.retention import apply_retention
from core.errors import PalateError
from core.request_bodies import MB
from palate.wsgi import application
from tests.factories import MembershipFactory, StudyFactory, TaskFactory, UserFactory
from training.models import Run, RunState

pytestmark = pytest.mark.django_db


class Unread(io.RawIOBase):
    """The body of a request that nobody may read."""

    def readable(self):
        return True

    def readinto(self, buffer):
        raise AssertionError("the body was read")


@pytest.fixture
def study():
    return StudyFactory(slug="shop")


def sent(client, url, megabytes, *, body=None, kind="application/x-www-form-urlencoded", **headers):
    """The status of the answer to a body that says that it is so long."""
    more = {"CONTENT_LENGTH": str(int(megabytes * MB)), "CONTENT_TYPE": kind, "wsgi.input": body or Unread()}
    return client.post(url, **more, headers=headers)


@pytest.mark.parametrize(
    "url", ["/login/", "/join/x/", "/password/a/b/", "/studies/shop/exchange/file/", "/studies/new/"]
)
def test_strangers_may_send_a_short_form(client, study, url):
    for kind in ("application/x-www-form-urlencoded", MULTIPART_CONTENT):
        assert sent(client, url, 0.1, kind=kind).status_code == 413
        assert sent(client, url, 300, kind=kind).status_code == 413
    assert client.post(url, {"login": "a" * 1000}).status_code in (200, 302, 404)


@pytest.mark.parametrize("name", ["study-settings", "study-create", "study-create-preview", "tokens"])
def test_ordinary_forms(client, study, name):
    client.force_login(MembershipFactory(study=study, role="owner").user)
    url = reverse(name, args=["shop"] if name == "study-settings" else [])
    answer = sent(client, url, 2.1)
    assert answer.status_code == 413
    assert "at most 2 MB" in answer.content.decode()
    assert client.post(url, {"name": "中" * 200_000}).status_code == 422


def test_answers_of_raters(client, study):
    rater = MembershipFactory(study=study, study__require_reading=False)
    TaskFactory(study=study)
    client.force_login(rater.user)
    assignment = lease_next(rater=rater)
    for name in ("judge", "draft", "skip"):
        answer = sent(client, reverse(name, args=[assignment.pk]), 2.1, accept="application/json")
        assert answer.status_code == 413
        assert answer.json()["problems"]


def test_uploads_are_for_those_who_manage_the_study(client, study, settings):
    settings.IMPORT_MAX_MB = 3
    urls = [reverse(name, args=["shop"]) for name in ("import-prompts", "import-preferences", "import-judgements")]
    for role, limits in (("owner", (2.5, 3.1)), ("manager", (2.5, 3.1)), ("auditor", (0, 2.1)), ("rater", (0, 2.1))):
        client.force_login(MembershipFactory(study=study, role=role).user)
        for url in urls:
            assert sent(client, url, limits[1], kind=MULTIPART_CONTENT).status_code == 413, role
            if limits[0]:
                with pytest.raises(AssertionError, match="the body was read"):
                    sent(client, url, limits[0], kind=MULTIPART_CONTENT)
    client.force_login(UserFactory())
    assert sent(client, urls[0], 2.1, kind=MULTIPART_CONTENT).status_code == 413


def test_the_api(client, settings):
    settings.API_MAX_MB = 3
    answer = sent(client, "/api/v1/studies/", 3.1, kind="application/json")
    assert answer.status_code == 413
    assert "at most 3 MB" in answer.json()["detail"]
    assert sent(client, "/api/v1/studies/", 2.9, kind="application/json").status_code == 401


@pytest.mark.parametrize("length", ["-1", "1e9", "0x10", "٣", "9" * 30])
def test_a_length_that_is_no_number(client, length):
    answer = client.post("/login/", CONTENT_LENGTH=length, **{"wsgi.input": Unread()})
    assert answer.status_code == 400


def test_a_body_without_a_length_is_refused(client):
    answer = client.post("/login/", {"login": "a"}, headers={"Transfer-Encoding": "chunked"})
    assert answer.status_code == 411


@pytest.mark.parametrize(
    "charset", ["unicode_escape", "raw_unicode_escape", "utf-7", "hex", "utf-16", "idna", "no-such"]
)
def test_texts_are_utf_8(charset):
    def status_of(method, kind):
        environ = RequestFactory()._base_environ(
            REQUEST_METHOD=method, PATH_INFO="/login/", QUERY_STRING="a=%5Cud800", CONTENT_TYPE=kind
        )
        statuses = []
        list(application(environ | {"wsgi.input": Unread()}, lambda status, _headers: statuses.append(status)))
        return statuses[0]

    for kind in (f"multipart/form-data; boundary={BOUNDARY}", "application/x-www-form-urlencoded", "application/json"):
        for named in (f"charset={charset}", f'Charset="{charset}"', f"charset*=utf-8''{charset}"):
            assert status_of("POST", f"{kind}; {named}").startswith("415"), (kind, named)
            assert status_of("GET", f"{kind}; {named}").startswith("415")


class TestQuota:
    @pytest.fixture
    def owner(self, client, study, settings, tmp_path):
        settings.VAR_DIR, settings.UPLOAD_QUOTA_MB, settings.UNUSED_UPLOAD_HOURS = tmp_path, 3, 24
        owner = MembershipFactory(study=study, role="owner")
        client.force_login(owner.user)
        return owner

    def upload(self, client, slug="shop", kilobytes=1500):
        file = SimpleUploadedFile("p.csv", b"text\n" + b"a" * (kilobytes * 1024))
        return client.post(reverse("import-prompts", args=[slug]), {"file": file})

    def test_a_member_and_a_study_may_store_so_much(self, client, owner):
        assert [self.upload(client).status_code for _ in range(3)] == [302, 302, 413]
        # What is left is for small files, which are counted once they are read.
        assert [self.upload(client, kilobytes=40).status_code for _ in range(2)] == [302, 422]
        elsewhere = MembershipFactory(user=owner.user, role="manager").study.slug
        answer = self.upload(client, elsewhere)
        assert answer.status_code == 413
        assert "UPLOAD_QUOTA_MB" in answer.content.decode()
        client.force_login(MembershipFactory(study=owner.study, role="manager").user)
        assert self.upload(client).status_code == 413
        client.force_login(MembershipFactory(role="manager", study__slug="other").user)
        assert self.upload(client, "other").status_code == 302
        assert Run.objects.count() == 4
        assert len(list(upload_folder().iterdir())) == 4

    def test_without_room_nothing_is_read(self, client, owner):
        answer = sent(client, reverse("import-prompts", args=["shop"]), 3.1, kind=MULTIPART_CONTENT)
        assert answer.status_code == 413
        assert "UPLOAD_QUOTA_MB" in answer.content.decode()

    def test_an_upload_that_becomes_no_run_is_deleted(self, client, owner, monkeypatch):
        monkeypatch.setattr("training.runs.operations.queue_run", refuse)
        assert self.upload(client).status_code == 422
        assert list(upload_folder().iterdir()) == []

    def test_retention_deletes_what_no_run_will_read(self, client, owner):
        for _ in range(2):
            self.upload(client)
        done, waiting = Run.objects.order_by("pk")
        Run.objects.filter(pk=done.pk).update(state=RunState.DONE)
        stray = new_upload(study=owner.study, user=1)
        assert apply_retention()["uploads"] == 0
        days_ago = time.time() - 2 * 86400
        for folder in upload_folder().iterdir():
            os.utime(folder, (days_ago, days_ago))
        assert apply_retention()["uploads"] == 2
        assert not stray.exists()
        assert [Path(waiting.config["file"]).parent] == list(upload_folder().iterdir())
        os.utime(Path(waiting.config["file"]).parent, (0, 0))
        assert apply_retention()["uploads"] == 1


def refuse(**_fields):
    raise PalateError("no")


@pytest.mark.django_db(transaction=True)
def test_a_real_server_bounds_what_strangers_send(live_server, settings, tmp_path):
    """Chunks without an end, and a long body that is never sent, get an answer at once; nothing is stored."""
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    host = live_server.thread.host, live_server.thread.port
    head = "POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    for more, status in (("Transfer-Encoding: chunked", b"411"), ("Content-Length: 300000000", b"413")):
        with socket.create_connection(host, timeout=60) as connection:
            connection.sendall(f"{head}{more}\r\n\r\n".encode())
            assert connection.recv(100).split()[1] == status
    assert list(tmp_path.iterdir()) == []
