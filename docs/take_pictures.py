"""Take the pictures of the docs from a running demo: python docs/take_pictures.py http://127.0.0.1:8000 [NAME …]

Before that rate a little in the demo, flag a task, give known answers, make an invitation and follow the three
tutorials, so that the pages have something to show. With names only those pictures are taken.
"""

import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "pictures"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DESK, PHONE = (1280, 800), (390, 844)
# name: (who, address, size, keys to press); a name that ends in -dark is taken in the dark.
PICTURES = {
    "compare": ("rater", "/studies/demo-compare/rate/", DESK, "a"),
    "compare-dark": ("rater", "/studies/demo-compare/rate/", DESK, "a"),
    "compare-phone": ("rater", "/studies/demo-compare/rate/", PHONE, "a"),
    "rank-phone": ("rater", "/studies/demo-rank/rate/", PHONE, "j"),
    "score": ("rater", "/studies/demo-score/rate/", DESK, "4"),
    "rank": ("rater", "/studies/demo-rank/rate/", DESK, "j"),
    "keys": ("rater", "/studies/demo-compare/rate/", DESK, "?"),
    "history": ("rater", "/studies/demo-compare/history/", DESK, ""),
    "instructions": ("rater", "/studies/demo-compare/instructions/", DESK, ""),
    "practice": ("rater", "/studies/demo-compare/practice/", DESK, ""),
    "studies": ("rater", "/", DESK, ""),
    "overview": ("manager", "/studies/demo-compare/", DESK, ""),
    "work": ("manager", "/studies/demo-compare/work/", DESK, ""),
    "review": ("manager", "/studies/demo-compare/review/", DESK, ""),
    "quality": ("manager", "/studies/demo-compare/quality/", DESK, ""),
    "members": ("manager", "/studies/demo-compare/members/", DESK, ""),
    "settings": ("manager", "/studies/demo-compare/settings/", DESK, ""),
    "new-study": ("manager", "/studies/new/?template=translation", DESK, ""),
    "round": ("manager", "/studies/demo-compare/rounds/1/?who=simulated&answers=vote", DESK, ""),
}
# name: the list page, the link to follow there, the heading to scroll to.
LINKED = {
    "model": ("/studies/demo-compare/models/", "taste", "Report"),
    "run": ("/studies/demo-compare/runs/", "tune the policy", "What the KL was spent on"),
}
# Taken together by take_linked_screens.
SCREENS = ("decide", "join")


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        pages = {who: signed_in(browser.new_page(base_url=sys.argv[1]), who) for who in ("rater", "manager")}
        names = sys.argv[2:] or [*PICTURES, *LINKED, *SCREENS]
        for name, (who, address, (width, height), keys) in PICTURES.items():
            if name not in names:
                continue
            page = pages[who]
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme="dark" if name.endswith("-dark") else "light")
            page.goto(address)
            confirm = page.get_by_role("button", name="I’ve read this, start rating")
            if name != "instructions" and confirm.is_visible():
                confirm.click()
                page.wait_for_load_state("networkidle")
            for key in keys:
                page.keyboard.press(key)
            page.wait_for_timeout(1500)
            page.screenshot(path=FOLDER / f"{name}.png")
        page = pages["manager"]
        page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        page.emulate_media(color_scheme="light")
        for name in LINKED.keys() & set(names):
            address, link, heading = LINKED[name]
            page.goto(address)
            page.get_by_role("link", name=re.compile(rf"(\d · )?{link}$")).first.click()
            page.get_by_role("heading", name=heading, exact=True).evaluate("heading => heading.scrollIntoView()")
            page.wait_for_timeout(500)
            page.screenshot(path=FOLDER / f"{name}.png")
        if set(SCREENS) & set(names):
            take_linked_screens(page, browser.new_page(viewport={"width": DESK[0], "height": DESK[1]}))
        browser.close()


def take_linked_screens(manager: Page, visitor: Page) -> None:
    """Take the expert's screen of a disputed task, and what an invited rater sees first."""
    manager.goto("/studies/demo-compare/review/")
    manager.get_by_role("link", name="Decide").first.click()
    manager.wait_for_timeout(1500)
    manager.screenshot(path=FOLDER / "decide.png")
    manager.goto("/studies/demo-compare/members/")
    visitor.goto(manager.get_by_label("Link 1", exact=True).input_value())
    visitor.wait_for_timeout(500)
    visitor.screenshot(path=FOLDER / "join.png")


def signed_in(page: Page, who: str) -> Page:
    """Return the page after signing in."""
    page.goto("/login/")
    page.get_by_label("Username").fill(who)
    page.get_by_label("Password").fill("palate-demo")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    return page


if __name__ == "__main__":
    main()
