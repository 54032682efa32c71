"""How long from the key that submits an answer until the next task is painted, in a real browser.

Two ways in the same run against the same server, with the network delayed by --latency milliseconds each way: the
screen as it is, which fetched the next task ahead, and the same form without its script, sent and answered by a page.
Raters take --thought seconds a task; a rater who is faster than the network waits for it.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from crowd import make_members, palate_of_its_own, web_server

PORT = 8793
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Resolves once another task than `before` is on the screen and painted; the clock starts with the key.
NEXT_TASK = """
async (before) => {
  const shown = () => document.querySelector("[data-rate]")?.dataset.assignment;
  const started = await new Promise((resolve) => {
    const note = (event) => event.key === "Enter" && resolve(performance.now());
    document.addEventListener("keydown", note, {capture: true});
  });
  while (shown() === before) await new Promise((resolve) => setTimeout(resolve, 0));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  return performance.now() - started;
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=50)
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 100], help="milliseconds")
    parser.add_argument("--thought", type=float, default=1.0, help="seconds a task")
    options = parser.parse_args()
    with palate_of_its_own() as folder:
        run(folder, options)


def run(folder: Path, options: argparse.Namespace) -> None:
    from django.db import connection
    from playwright.sync_api import sync_playwright

    study = make_study(2 * options.answers * len(options.latency) + 10)
    sessions = make_members(study, 2)
    connection.close()
    with web_server(folder, PORT), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for latency in options.latency:
            fast = ahead(open_page(browser, study, sessions[0], latency), options)
            plain = by_pages(open_page(browser, study, sessions[1], latency, java_script_enabled=False), options)
            print(f"latency {latency:g} ms: fetched ahead {words(fast)}; by pages {words(plain)}; ", end="")
            print(f"ratio {statistics.median(plain) / statistics.median(fast):.1f}")
        browser.close()


def make_study(tasks: int) -> Any:
    from annotate.collection.leases import create_tasks
    from annotate.models.prompts import Prompt, Response, Split
    from annotate.studies.operations import create_study

    study = create_study(slug="next", name="Next", replication=2)
    sets = []
    for n in range(tasks):
        prompt = Prompt.objects.create(study=study, external_id=str(n), text="What now? " * 10, split=Split.TRAIN)
        sets.append(
            Response.objects.bulk_create(
                Response(prompt=prompt, external_id=str(r), text=f"Answer {r}. " * 60, author_name="bench")
                for r in range(2)
            )
        )
    create_tasks(study=study, response_sets=sets)
    return study


def open_page(browser: Any, study: Any, session: str, latency: float, **options: Any) -> Any:
    base = f"http://127.0.0.1:{PORT}"
    context = browser.new_context(base_url=base, viewport={"width": 1280, "height": 800}, **options)
    context.add_cookies([{"name": "sessionid", "value": session, "url": base}])
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    conditions = {"offline": False, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", conditions)
    page.goto(f"/studies/{study.slug}/rate/")
    return page


def ahead(page: Any, options: argparse.Namespace) -> list[float]:
    times = []
    for _ in range(options.answers):
        page.wait_for_timeout(1000 * options.thought)
        page.keyboard.press("a")
        before = page.locator("[data-rate]").get_attribute("data-assignment")
        page.evaluate(f"(before) => {{ window.measured = ({NEXT_TASK})(before) }}", before)
        page.keyboard.press("Enter")
        times.append(page.evaluate("window.measured"))
    return times


def by_pages(page: Any, options: argparse.Namespace) -> list[float]:
    """From the click to the loaded page that follows it."""
    times = []
    for _ in range(options.answers):
        page.wait_for_timeout(1000 * options.thought)
        page.get_by_role("radio").first.check()
        started = time.perf_counter()
        page.get_by_role("button", name="Submit and continue").click()
        page.wait_for_load_state("load")
        times.append(1000 * (time.perf_counter() - started))
    return times


def words(times: list[float]) -> str:
    cuts = statistics.quantiles(times, n=20)
    return f"median {cuts[9]:.0f} ms, p95 {cuts[18]:.0f} ms"


if __name__ == "__main__":
    main()
