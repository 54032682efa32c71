"""Pages in Chinese, as a rater and a manager meet them."""

import pytest

from annotate.models.judgements import Judgement
from tests.browser.conftest import PHONE, until
from tests.browser.test_accessibility import check
from tests.factories import MembershipFactory, TaskFactory

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_a_rater_changes_to_chinese_and_judges(open_page, user):
    owner = MembershipFactory(user=user, role="owner", study__require_reading=False)
    TaskFactory.create_batch(2, study=owner.study)
    page = open_page("/", user=user, **PHONE)
    page.get_by_role("button", name="简体中文").click()
    assert page.locator("html").get_attribute("lang") == "zh-hans"
    for path in ("quality", "standings", "runs", "runs/new/train_preference", "settings", "report"):
        page.goto(f"/studies/{owner.study.slug}/{path}/")
        check(page)
    page.goto(f"/studies/{owner.study.slug}/rate/")
    check(page)
    page.keyboard.press("a")
    page.get_by_role("button", name="提交").click()
    until(page, lambda: Judgement.objects.count() == 1)
    page.goto(f"/studies/{owner.study.slug}/history/")
    page.get_by_role("link", name="更改").wait_for()
    page.get_by_role("button", name="English").click()
    assert page.locator("html").get_attribute("lang") == "en"
