"""A real chromium against a real server."""

import os
import time

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.test import Client
from playwright.sync_api import sync_playwright

from tests.factories import UserFactory
from tests.tools import program

# A name that browsers do not trust as they trust localhost: pages under it are no secure context over plain HTTP.
INSECURE_HOST = "palate.example"
ARGUMENTS = [
    f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SECONDS = 30  # A machine may be busy with other things.
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

# Playwright runs an event loop in this thread, where Django would refuse to use the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser():
    chromium = program("chromium", "google-chrome", package="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def user(transactional_db):
    return UserFactory(username="ada")


@pytest.fixture
def quiet_server(live_server):
    """The server, and after the test a wait for what is still under way: the screen works in the background."""
    under_way = []

    def started(**_):
        under_way.append(1)

    def finished(**_):
        under_way.pop()

    request_started.connect(started)
    request_finished.connect(finished)
    yield live_server
    calm = 0
    for _ in range(200):
        calm = 0 if under_way else calm + 1
        if calm == 4:
            break
        time.sleep(0.05)
    request_started.disconnect(started)
    request_finished.disconnect(finished)


@pytest.fixture
def open_page(browser, quiet_server):
    """Opens a page in a window of its own; whatever the browser complains about fails the test."""
    contexts, complaints = [], []

    def open_page(path, *, user=None, host="localhost", **options):
        url = quiet_server.url.replace("localhost", host)
        context = browser.new_context(base_url=url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * SECONDS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda message: complaints.append(message.text) if "Security Policy" in message.text else None
        )
        if user is not None:
            sign_in(context, user, url)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def sign_in(context, user, url):
    """As if the user had signed in before: the form itself has its own test."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])


def until(page, holds, seconds=SECONDS):
    """Wait for something that happens on the server while the page goes on."""
    for _ in range(seconds * 20):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen")
