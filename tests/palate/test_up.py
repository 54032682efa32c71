"""What `make run` says once it is ready."""

import socket
from io import StringIO

import pytest

from palate.management.commands.up import Command
from tests.factories import UserFactory


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh_CN.UTF-8", ["Palate 运行于 http://here/", "rater / palate-demo   在其中评判", "停止：Ctrl-C"]),
        ("en_GB.UTF-8", ["Palate runs at http://here/", "rater / palate-demo   judges in them", "Stop: Ctrl-C"]),
    ],
)
def test_it_says_in_the_terminals_language_where_and_who(language, words, monkeypatch, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    for name, value in {"LC_ALL": "", "LC_MESSAGES": "", "LANG": language}.items():
        monkeypatch.setenv(name, value)
    UserFactory(username="rater")
    said = StringIO()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        Command(stdout=said, no_color=True)._say_where("http://here/", listening.getsockname()[1])
    assert [word for word in words if word not in said.getvalue()] == []
    assert "manager" not in said.getvalue()
