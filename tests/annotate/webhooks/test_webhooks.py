"""Webhooks: signed, tried again, and never a way into the private network."""

import hashlib
import hmac
import json
import socket
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.db import connection, transaction
from django.utils import timezone

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.webhooks import Delivery
from annotate.webhooks import delivery as deliveries
from annotate.webhooks import sending
from annotate.webhooks.delivery import PATIENCE, deliver_due
from annotate.webhooks.operations import add_webhook, announce
from core.errors import PalateError
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def listener(settings):
    """A real server on this machine that keeps what it is sent; `answers` says with what status."""
    settings.WEBHOOKS_ALLOW_PRIVATE = True

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.path, dict(self.headers), body))
            server.meanwhile()
            self.send_response(server.answers.pop(0) if server.answers else 200)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answers, server.meanwhile = [], [], lambda: None
    server.url = f"http://127.0.0.1:{server.server_port}/hook?a=1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_judgement_is_told_signed_and_without_texts(listener):
    study = StudyFactory()
    hook = add_webhook(study=study, url=listener.url, events=["judgement.made"])
    TaskFactory(study=study)
    answer = Answer(ranks=[1, 2], comment="secret")
    judgement = submit(assignment=lease_next(rater=MembershipFactory(study=study)), answer=answer)
    assert deliver_due() == 1
    ((path, headers, body),) = listener.got
    assert (path, json.loads(body)["judgement"], headers["Palate-Event"]) == (
        "/hook?a=1",
        judgement.pk,
        "judgement.made",
    )
    assert b"secret" not in body
    at, mac = (part.split("=")[1] for part in headers["Palate-Signature"].split(","))
    assert mac == hmac.new(hook.signing_key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert deliver_due() == 0


def test_a_lost_key_fails_the_delivery_in_words_and_stops_no_other(listener, settings):
    study = StudyFactory()
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    settings.FIELD_ENCRYPTION_KEYS = ["first"]
    settings.SECRET_KEY = "another one"
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    announce(study_id=study.pk, event="run.ended")
    assert deliver_due() == 1
    assert "FIELD_ENCRYPTION_KEY" in Delivery.objects.get(state="waiting").answer


def test_only_what_was_asked_for_and_only_of_the_own_study(listener):
    study, other = StudyFactory(), StudyFactory()
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    assert announce(study_id=study.pk, event="judgement.made") == 0
    assert announce(study_id=other.pk, event="run.ended") == 0
    assert announce(study_id=study.pk, event="run.ended", run=1) == 1


def test_is_tried_again_with_patience_and_given_up_in_the_end(listener):
    study = StudyFactory()
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    announce(study_id=study.pk, event="run.ended")
    listener.answers[:] = [500, 302] + [404] * 10
    for minutes in PATIENCE:
        assert deliver_due() == 0
        delivery = Delivery.objects.get()
        wait = delivery.next_at - timezone.now()
        assert timedelta(minutes=minutes - 1) < wait <= timedelta(minutes=minutes)
        Delivery.objects.update(next_at=timezone.now())
    deliver_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.answer) == ("failed", len(PATIENCE) + 1, "status 404")
    # The redirect was not followed.
    assert {path for path, _, _ in listener.got} == {"/hook?a=1"}


@pytest.mark.parametrize("url", [
    "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://10.0.0.1/", "https://192.168.1.1/x",
    "https://169.254.169.254/latest/meta-data/", "https://[::ffff:127.0.0.1]/", "https://0.0.0.0/", "https://2130706433/",
    "https://0x7f.1/", "https://[fe80::1]/", "https://[fd00::1]/", "https://224.0.0.1/", "https://100.64.0.1/",
    "http://example.com/", "file:///etc/passwd", "gopher://127.0.0.1/", "https://user:pass@8.8.8.8/", "https://", "x",
    "https://8.8.8.8:99999/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[::7f00:1]/",
    "https://[fec0::1]/", "https://:secret@8.8.8.8/",
])  # fmt: skip
def test_private_addresses_and_other_schemes_are_refused(url):
    with pytest.raises(PalateError):
        add_webhook(study=StudyFactory(), url=url, events=["run.ended"])


def test_a_public_address_may_be_called():
    assert sending.resolved("https://8.8.8.8/hook") == ("8.8.8.8", "8.8.8.8")


def test_a_name_that_turns_private_later_is_not_called_either(listener, settings):
    study = StudyFactory()
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    announce(study_id=study.pk, event="run.ended")
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    assert deliver_due() == 0
    assert listener.got == []
    assert "PalateError" in Delivery.objects.get().answer


def test_one_that_trickles_is_cut_off_and_holds_up_nobody(monkeypatch, listener):
    """Each byte comes within the timeout of a read; the answer as a whole would take five seconds, or days."""
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as slow:
        threading.Thread(target=trickle, args=[slow], daemon=True).start()
        study = StudyFactory()
        add_webhook(study=study, url=f"http://127.0.0.1:{slow.getsockname()[1]}/", events=["run.ended"])
        announce(study_id=study.pk, event="run.ended")
        assert deliver_due() == 0
    assert Delivery.objects.get().state == "waiting"


def test_a_silent_address_costs_one_attempt_and_not_one_for_each_event(monkeypatch, listener):
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    study, others = StudyFactory(), StudyFactory()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hook = add_webhook(study=study, url=f"http://127.0.0.1:{silent.getsockname()[1]}/", events=["run.ended"])
        for number in range(30):
            announce(study_id=study.pk, event="run.ended", run=number)
        add_webhook(study=others, url=listener.url, events=["run.ended"])
        announce(study_id=others.pk, event="run.ended")
        assert deliver_due() == 1
    assert len(listener.got) == 1
    waiting = hook.deliveries.filter(state="waiting")
    assert (waiting.count(), waiting.filter(attempts=1).count()) == (30, 1)
    assert not waiting.filter(next_at__lte=timezone.now() + timedelta(seconds=50)).exists()


def test_what_waited_for_days_for_an_address_that_never_answers_fails(listener):
    study = StudyFactory()
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    for number in range(3):
        announce(study_id=study.pk, event="run.ended", run=number)
    Delivery.objects.update(created_at=timezone.now() - deliveries.MAX_AGE - timedelta(minutes=1))
    announce(study_id=study.pk, event="run.ended", run=4)
    listener.answers[:] = [500] * 9
    deliver_due()
    assert sorted(Delivery.objects.values_list("payload__run", "state")) == [
        *((number, "failed") for number in range(3)),
        (4, "waiting"),
    ]


def trickle(server):
    connection, _ = server.accept()
    with connection:
        connection.recv(10_000)
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 20 + b"\r\n\r\n":
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return
            time.sleep(0.1)


@pytest.mark.parametrize("path", ["/\u4f8b?\u00e9=1", "/a b", "/a%20b?c=%2F", "/\x7f"])
def test_an_odd_address_stops_no_delivery_behind_it(listener, path):
    study = StudyFactory()
    add_webhook(study=study, url=listener.url.replace("/hook?a=1", path), events=["run.ended"])
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    announce(study_id=study.pk, event="run.ended")
    deliver_due()
    assert "/hook?a=1" in {path for path, _, _ in listener.got}
    assert not Delivery.objects.filter(attempts=0).exists()


@pytest.mark.django_db(transaction=True)
def test_no_lock_and_no_transaction_waits_for_the_answer(listener):
    """Another connection, as that of another worker, can take the delivery's row while the address is being called."""
    study, taken = StudyFactory(), []

    def take_the_row():
        try:
            with transaction.atomic():
                taken.append(Delivery.objects.select_for_update(nowait=True).get().state)
            # Another worker does not send it a second time meanwhile.
            taken.append(deliver_due())
        finally:
            connection.close()

    listener.meanwhile = take_the_row
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    announce(study_id=study.pk, event="run.ended")
    listener.got.clear()
    assert deliver_due() == 1
    assert taken == ["waiting", 0]
    assert len(listener.got) == 1


def test_what_a_dead_worker_had_claimed_is_sent_later(listener, monkeypatch):
    def dies(*_):
        raise SystemExit

    study = StudyFactory()
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    announce(study_id=study.pk, event="run.ended")
    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "send", dies)
        with pytest.raises(SystemExit):
            deliver_due()
    assert deliver_due() == 0
    Delivery.objects.update(next_at=timezone.now())
    assert deliver_due() == 1
    assert Delivery.objects.get().state == "delivered"


def test_an_answer_that_comes_after_another_claim_is_not_recorded(listener):
    study = StudyFactory()
    add_webhook(study=study, url=listener.url, events=["run.ended"])
    announce(study_id=study.pk, event="run.ended")
    late = deliveries._claim()
    Delivery.objects.update(next_at=timezone.now())
    assert deliver_due() == 1
    listener.answers[:] = [500]
    deliveries._attempt(late)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("delivered", 1)
