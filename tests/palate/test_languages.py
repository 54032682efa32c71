"""Every word of the pages is there in every language, and people can choose theirs."""

import os
import re
import shutil
import subprocess
import sys
from gettext import GNUTranslations
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import translation
from django.utils.formats import date_format

from tests.factories import MembershipFactory, StudyFactory
from tests.tools import program

ROOT = Path(settings.BASE_DIR)
CHINESE = ROOT / "locale/zh_Hans/LC_MESSAGES"
PLACEHOLDER = re.compile(r"%\(\w+\)[sdrg]|\{\w*\}")


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The .po file as it would be if what pages say were collected now."""
    program("xgettext", package="gettext")
    copy = tmp_path_factory.mktemp("sources")
    for folder in ("annotate", "palate", "training", "templates", "locale"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    # Without settings: with them it would write beside the sources that they name.
    outside = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "django", "makemessages", "--locale", "zh_Hans", "--no-obsolete", "--no-location"]
    subprocess.run(command, cwd=copy, env=outside, check=True, capture_output=True)
    return copy / "locale/zh_Hans/LC_MESSAGES/django.po"


def result(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_no_word_is_untranslated(collected):
    assert result("msgattrib", "--untranslated", str(collected)) == ""
    assert result("msgattrib", "--only-fuzzy", "--no-obsolete", str(collected)) == ""


def test_the_compiled_file_is_that_of_the_translations(collected, tmp_path):
    subprocess.run(["msgfmt", "--check", "-o", tmp_path / "now.mo", CHINESE / "django.po"], check=True)
    assert result("msgunfmt", str(tmp_path / "now.mo")) == result("msgunfmt", str(CHINESE / "django.mo"))


def test_translations_keep_their_placeholders_and_are_chinese():
    with (CHINESE / "django.mo").open("rb") as file:
        catalog = GNUTranslations(file)._catalog
    own = {source: text for source, text in catalog.items() if isinstance(source, str) and source}
    assert len(own) > 1000
    wrong = [s for s, t in own.items() if set(PLACEHOLDER.findall(s)) != set(PLACEHOLDER.findall(t))]
    assert wrong == []
    left = [s for s, t in own.items() if s.count(" ") > 3 and not re.search(r"[\u4e00-\u9fff]", t)]
    assert [s for s in left if not s.startswith("JSON lines: ")] == []  # those are names of fields


@pytest.mark.django_db
class TestChoosing:
    def test_the_browser_decides_until_somebody_chooses(self, client):
        sign_in = reverse("account_login")
        assert '<html lang="en"' in client.get(sign_in).content.decode()
        assert '<html lang="zh-hans"' in client.get(sign_in, headers={"Accept-Language": "zh-CN"}).content.decode()
        answer = client.post(reverse("language"), {"language": "zh-hans", "next": sign_in})
        assert answer.headers["Location"] == sign_in
        page = client.get(sign_in).content.decode()
        assert '<html lang="zh-hans"' in page
        assert "登录" in page
        assert 'lang="en">English</button>' in page  # each language under its own name

    def test_another_site_is_never_gone_to(self, client):
        answer = client.post(reverse("language"), {"language": "en", "next": "https://example.org/"})
        assert answer.headers["Location"] == "/"

    def test_a_study_speaks_chinese_around_its_own_words(self, client):
        study = StudyFactory(name="Lamps")
        client.force_login(MembershipFactory(study=study, role="owner").user)
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = "zh-hans"
        page = client.get(reverse("runs", args=[study.slug])).content.decode()
        assert "Lamps" in page
        assert "运行" in page
        assert "train preference model" not in page.lower()


def test_days_are_written_as_each_language_does(settings):
    from datetime import date

    with translation.override("en"):
        assert date_format(date(2026, 11, 24)) == "24 Nov 2026"
    with translation.override("zh-hans"):
        assert date_format(date(2026, 11, 24)) == "2026年11月24日"
