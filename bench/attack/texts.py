"""Texts, numbers and keys that no browser sends: in prompts, forms, JSON bodies and exports."""

import csv
import io
import re
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

from attack.instance import Answer, Attack, Instance, Visitor, check
from attack.rating import JSON, assignment_on, judge_next, rating_page, send_answer, take_task

MB = 1024 * 1024
# Seconds within which every page answers, whatever it shows.
PATIENCE = 10
UUID = "6f1c5a1e-8e54-4b44-9c3c-0b8b9a3f3c11"


def preview_bomb(instance: Instance) -> None:
    study = instance.study()
    manager = instance.member(study, "manager")
    new = {**NEW_STUDY, "method": "rank", "name": "Bomb"}
    for path, fields in (("/studies/preview/", new), (f"/studies/{study.slug}/preview/", settings_of(study))):
        fields = {**fields, "method": "rank"}
        answer = manager.post(path, {**fields, "rank_size": "4"})
        check(answer.status == 200, f"{path}: an ordinary preview: {answer.status} {answer.text[-500:]}")
        before = instance.memory()
        for size in ("32000", "32767", "11", "99999999999"):
            answer = manager.post(path, {**fields, "rank_size": size}, seconds=PATIENCE)
            check(answer.status == 422, f"{path} with rank_size={size}: {answer.status}")
        grown = (instance.memory() - before) // MB
        check(grown < 300, f"{path}: the web processes grew by {grown} MB")


NEW_STUDY = {
    "name": "New", "slug": "attack-new", "method": "compare", "rank_size": "4", "replication": "3",
    "text_format": "plain", "criteria-TOTAL_FORMS": "0", "criteria-INITIAL_FORMS": "0",
}  # fmt: skip


def settings_of(study: Any) -> dict[str, Any]:
    """The fields of the study's settings as their page fills them in."""
    from django.forms import model_to_dict

    from annotate.web.studies.forms import StudySettingsForm

    values = model_to_dict(study, StudySettingsForm._meta.fields)
    ticked = {name: "on" for name, value in values.items() if value is True}
    rest = {name: value for name, value in values.items() if not isinstance(value, bool) and value is not None}
    return {**rest, **ticked, "labels": ",".join(study.labels)}


def quadratic_texts(instance: Instance, text_format: str) -> None:
    """Texts that slow readers of markup down more than their length does, on every page that shows them."""
    for text in SLOW_TEXTS:
        study = instance.study(text_format=text_format)
        instance.tasks(study, [f"{text}x", f"{text}y"], response=text)
        rater, manager = instance.member(study), instance.member(study, "manager")
        with others_are_answered(instance):
            pages = shown_everywhere(rater, manager, study)
        for path, seconds in pages.items():
            check(seconds < PATIENCE, f"{path} of {text[:8]!r} × {len(text)} takes {seconds:.0f} s")


SLOW_TEXTS = [
    "\n" * 100_000, "\\[" * 60_000, "> " * 100_000, "**a" * 40_000, "[" * 100_000, "`" * 100_000, "User:\n" * 20_000,
    "- " * 50_000, "![](" * 30_000, "<a " * 30_000, "| a " * 30_000, "1. " * 40_000,
    "&#x26;" * 20_000, "http://" * 15_000,
]  # fmt: skip


def shown_everywhere(rater: Visitor, manager: Visitor, study: Any) -> dict[str, float]:
    """The seconds of each page that shows the study's texts."""
    took: dict[str, float] = {}

    def timed(name: str, ask: Any) -> Answer:
        begun = time.monotonic()
        answer: Answer = ask()
        took[name] = time.monotonic() - begun
        check(answer.status in (200, 303), f"{name}: {answer.status}")
        return answer

    base = f"/studies/{study.slug}"
    first = assignment_on(timed("rate", lambda: rater.get(f"{base}/rate/")))
    second = assignment_on(timed("ahead", lambda: rater.post(f"{base}/rate/prefetch/", {"beyond": first})))
    timed("judge", lambda: send_answer(rater, first))
    timed("flag", lambda: rater.post(f"/assignments/{second}/skip/", {"reason": "unsafe", "details": "x"}))
    timed("history", lambda: rater.get(f"{base}/history/"))
    correction = f"/judgements/{newest_judgement(study)}/correct/"
    timed("correct", lambda: rater.get(correction))
    for page in ("review/", "", "settings/", "quality/", "export/pairs.csv"):
        timed(page or "overview", partial(manager.get, f"{base}/{page}"))
    timed("preview", lambda: manager.post(f"{base}/preview/", settings_of(study)))
    return took


def newest_judgement(study: Any) -> int:
    from annotate.models.judgements import Judgement

    return int(Judgement.objects.filter(task__study=study).latest("pk").pk)


@contextmanager
def others_are_answered(instance: Instance) -> Iterator[None]:
    """While the block runs, somebody else's page answers within PATIENCE, again and again."""
    slowest, ended = [0.0], threading.Event()

    def ask() -> None:
        stranger = instance.stranger()
        while not ended.wait(0.2):
            begun = time.monotonic()
            stranger.get("/login/")
            slowest[0] = max(slowest[0], time.monotonic() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    check(slowest[0] < PATIENCE, f"another page took {slowest[0]:.0f} s meanwhile")


def private_use_characters(instance: Instance) -> None:
    for text_format in ("markdown", "dialogue", "plain"):
        study = instance.study(text_format=text_format)
        instance.tasks(study, PRIVATE_USE, response="".join(PRIVATE_USE))
        rater = instance.member(study)
        for _text in PRIVATE_USE:
            judge_next(rater, study, comment="".join(PRIVATE_USE))
        check(rater.get(f"/studies/{study.slug}/history/").status == 200, "the history does not answer")


PRIVATE_USE = [
    "&#xE000;0&#xE001;", "&#57344;99999999999&#57345;", "\ue0000\ue001", "\ue000", "\ue001\ue000", "\ue000x\ue001 $a$",
    "\uf8ff \U000f0000 \U0010fffd", "&#xE000;&#xE000;1&#xE001;", "```\n\ue0001\ue001\n```",
    "\ufdd0\uffff\U0001ffff", "$\ue0000\ue001$",
]  # fmt: skip


def enormous_scales(instance: Instance) -> None:
    study = instance.study(method="score")
    manager, program = instance.member(study, "manager"), instance.program(study)
    for low, high in (("-1e308", "1e308"), ("1", "1e308"), ("-1e308", "5"), ("nan", "5"), ("1", "inf"), ("1", "1e999")):
        scale = {"name": "Size", "minimum": low, "maximum": high}
        refused(manager.post(f"/studies/{study.slug}/scales/", scale), f"a scale from {low} to {high}")
        rows = {
            **NEW_STUDY,
            "criteria-TOTAL_FORMS": "1",
            **{f"criteria-0-{key}": value for key, value in scale.items()},
        }
        for path in ("/studies/new/", "/studies/preview/"):
            refused(manager.post(path, rows), f"{path} with a scale from {low} to {high}")
        body = f'{{"slug": "big", "name": "Big", "criteria": [{{"key": "size", "minimum": {low}, "maximum": {high}}}]}}'
        refused(program.send("/api/v1/studies/", body.encode()), f"the API with a scale from {low} to {high}")
    check(not study.criteria.exists(), "a criterion was stored")


def refused(answer: Answer, what: str) -> None:
    """Refused for what was sent: 403 would say that the attack never came so far."""
    check(400 <= answer.status < 500 and answer.status != 403, f"{what}: {answer.status} {answer.text[:100]}")


def reused_keys(instance: Instance) -> None:
    study = instance.study()
    instance.tasks(study, ["One?", "Two?", "Three?"])
    rater, program = instance.member(study), instance.program(study)
    check(judge_next(rater, study, submission=UUID).status == 200, "the first answer is not taken")
    again = send_answer(rater, take_task(rater, study), submission=UUID)
    refused(again, "one submission key on two tasks")
    check(study.tasks.filter(judgements__isnull=False).count() == 1, "the second answer was stored")
    path, key = f"/api/v1/studies/{study.slug}/prompts/", {"Idempotency-Key": "same"}
    check(program.send(path, {"prompts": [{"prompt": "a"}]}, **key).status == 200, "a prompt is not taken")
    refused(program.send(path, {"prompts": [{"prompt": "b"}]}, **key), "one idempotency key on two requests")
    for odd in ("x" * 101, "\x7f", "a\tb"):
        refused(program.send(path, {"prompts": [{"prompt": "c"}]}, **{"Idempotency-Key": odd}), f"the key {odd!r}")


def halves_of_surrogates(instance: Instance) -> None:
    study = instance.study(labels=["yes", "no"])
    instance.tasks(study, ["What?"])
    rater, manager, program = instance.member(study), instance.member(study, "manager"), instance.program(study)
    base, api = f"/studies/{study.slug}", f"/api/v1/studies/{study.slug}"
    assignment = take_task(rater, study)
    for bad in ("\ud800", "\udfff x", "a\0b"):
        for field in ("preference", "label", "comment", "submission", "device", "seconds"):
            fields = {"preference": "a2", "label": "yes", field: bad}
            no_server_error(rater.post(f"/assignments/{assignment}/draft/", fields, **JSON), f"a draft with {bad!r}")
            if field not in ("comment", "device"):  # their odd characters are left out
                refused(rater.post(f"/assignments/{assignment}/judge/", fields, **JSON), f"{field} = {bad!r}")
        for path, field in FORMS:
            fields = {**(settings_of(study) if path == "settings" else {}), field: bad}
            no_server_error(manager.post(f"{base}/{path}/", fields), f"{path}: {field} = {bad!r}")
        no_server_error(instance.stranger().post("/login/", {"login": bad, "password": bad}), f"sign-in as {bad!r}")
        for path, body in json_bodies(bad).items():
            refused(
                program.send(f"{api}/{path}", body, method="POST" if path else "PATCH"), f"{path or 'study'}: {bad!r}"
            )
    forget_failures()


FORMS = [
    ("settings", "name"), ("settings", "text_format"), ("scales", "name"), ("members", "username"), ("members", "role"),
    ("state", "to"), ("invitations", "tags"), ("runs/new/simulate_raters", "seed"),
]  # fmt: skip


def json_bodies(text: str) -> dict[str, Any]:
    """Each address of the API that takes JSON, with a body in which the text is a value."""
    response = {"prompt": text, "response": "x"}
    judgement = {"judgement_id": text, "prompt_id": "0", "shown": [text], "rater": text}
    return {
        "": {"name": text}, "prompts/": {"prompts": [{"prompt": text}]}, "responses/": {"responses": [response]},
        "judgements/": {"judgements": [judgement]}, "runs/": {"kind": text},
        "webhooks/": {"url": text, "events": [text]},
    }  # fmt: skip


def no_server_error(answer: Answer, what: str) -> None:
    check(answer.status < 500 and answer.status != 403, f"{what}: {answer.status}")


def forget_failures() -> None:
    """The failed attempts of an attack, so that the next attack does not wait for them."""
    from annotate.models.sign_in import FailureCounter

    FailureCounter.objects.all().delete()


def nested_json(instance: Instance) -> None:
    study = instance.study()
    instance.tasks(study, ["What?"])
    program, manager, rater = instance.program(study), instance.member(study, "manager"), instance.member(study)
    deep = [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b'{"prompts":' + b"[" * 50_000]
    for body in deep:
        for path in json_bodies(""):
            method = "POST" if path else "PATCH"
            answer = program.send(f"/api/v1/studies/{study.slug}/{path}", body, method=method, seconds=PATIENCE)
            refused(answer, f"{path or 'study'} with {len(body)} brackets")
        refused(program.send("/api/v1/studies/", body, seconds=PATIENCE), "a new study of brackets")
        text = body.decode()
        no_server_error(
            rater.post(f"/assignments/{take_task(rater, study)}/draft/", {"comment": text}, **JSON), "a draft"
        )
        no_server_error(manager.post(f"/studies/{study.slug}/scales/", {"name": text, "minimum": text}), "a scale")
    rating_page(rater, study)


def huge_integers(instance: Instance) -> None:
    study = instance.study()
    instance.tasks(study, ["What?"])
    manager, rater, program = instance.member(study, "manager"), instance.member(study), instance.program(study)
    base, api = f"/studies/{study.slug}", f"/api/v1/studies/{study.slug}"
    for number in ("9" * 19, "9223372036854775808", "9" * 5000, "-1", "1e308", "½", "٣"):
        asked = quote(number)
        for path in (f"/assignments/{asked}/judge/", f"/judgements/{asked}/correct/", f"/runs/{asked}/"):
            refused(manager.get(path), f"{path[:20]} with the number {number[:20]}")
        for path in (f"{base}/tasks/{asked}/decide/", f"{base}/models/{asked}/", f"{base}/rounds/{asked}/"):
            refused(manager.get(path), f"{path[:40]} with the number {number[:20]}")
        for page in ("history/", "quality/raters/", "log/", "review/", "standings/"):
            visitor = rater if page == "history/" else manager
            no_server_error(visitor.get(f"{base}/{page}?page={asked}&n={asked}&model={asked}"), f"{page} {number[:20]}")
        no_server_error(rater.post(f"{base}/rate/prefetch/", {"beyond": number}), f"beyond={number[:20]}")
        for path in ("prompts/", "responses/", "judgements/", "runs/"):
            for query in (f"cursor={asked}", f"cursor={cursor_at(number)}", f"page_size={asked}"):
                no_server_error(program.get(f"{api}/{path}?{query}"), f"{path}?{query[:40]}")
        refused(program.get(f"{api}/runs/{asked}/"), f"the run {number[:20]}")
        if number.isascii():
            body = f'{{"replication": {number}}}'.encode()
            refused(program.send(f"{api}/", body, method="PATCH"), f"replication {number[:20]}")


def cursor_at(position: str) -> str:
    from base64 import b64encode

    return quote(b64encode(f"p={quote(position)}".encode()))


def formulas_in_csv(instance: Instance) -> None:
    study = instance.study(labels=FORMULAS[:5], label_question=FORMULAS[0], replication=2)
    instance.tasks(study, FORMULAS, response=FORMULAS[0])
    for n, task in enumerate(study.tasks.order_by("pk")):
        for response in task.responses.all():
            response.text = FORMULAS[(n + response.pk) % len(FORMULAS)] + str(response.pk)
            response.author_name = FORMULAS[n % len(FORMULAS)]
            response.save()
    rater, manager, program = instance.member(study), instance.member(study, "manager"), instance.program(study)
    for formula in FORMULAS[2:]:
        judge_next(rater, study, label=FORMULAS[0], comment=formula)
    rater.post(f"/assignments/{take_task(rater, study)}/skip/", {"reason": "other", "details": FORMULAS[1]})
    rater.post(f"/assignments/{take_task(rater, study)}/skip/", {"reason": "unsafe", "details": FORMULAS[2]})
    cells = 0
    for form in FORMS_OF_EXPORTS:
        by_page = manager.get(f"/studies/{study.slug}/export/{form}.csv?ties=keep")
        for answer in (by_page, program.get(f"/api/v1/studies/{study.slug}/export/{form}.csv?ties=keep")):
            check(answer.status in (200, 422), f"{form}.csv: {answer.status}")
            cells += checked_cells(answer, f"{form}.csv") if answer.status == 200 else 0
    for page in ("log.csv", "quality.csv", "quality/raters.csv", "standings.csv"):
        answer = manager.get(f"/studies/{study.slug}/{page}")
        cells += checked_cells(answer, page) if answer.status == 200 else 0
    check(cells > 300, f"only {cells} cells were exported")


INVISIBLE = [
    "\u200e",
    "\u00ad",
    "\u061c",
    "\u202e",
    "\u2066",
    "\ufe0f",
    "\u200b",
    "\ufeff",
    "\u3164",
    " ",
    "\u00a0",
    "\t",
]
SIGNS = ["=1+1", "+1+1", "-1+1", "@SUM(1)", "＝1+1", "＋1+1", "－1+1", "＠SUM(1)"]
FORMULAS = [*SIGNS, *(f"{start}{sign}" for start in INVISIBLE for sign in SIGNS)]
FORMS_OF_EXPORTS = ("pairs", "raw", "rankings", "scores", "labels", "feedback", "preference", "unpaired", "prompts")
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", re.IGNORECASE)


def checked_cells(answer: Answer, name: str) -> int:
    """How many cells there are; none of them may begin as a formula for the eye or a spreadsheet."""
    count = 0
    for row in csv.reader(io.StringIO(answer.text, newline="")):
        for cell in row:
            count += 1
            visible = next((char for char in cell if not invisible(char)), "")
            begins = unicodedata.normalize("NFKC", visible)[:1] in ("=", "+", "-", "@")
            check(not begins or NUMBER.fullmatch(cell), f"{name}: the cell {cell[:30]!r} is a formula")
    return count


def invisible(char: str) -> bool:
    return char in "\u3164\u115f\u1160\uffa0" or unicodedata.category(char) in (
        "Cf",
        "Cc",
        "Zs",
        "Zl",
        "Zp",
        "Mn",
        "Me",
    )


ATTACKS: list[Attack] = [
    Attack("1 a preview of 32,000 responses", preview_bomb),
    Attack("2 quadratic texts as plain", partial(quadratic_texts, text_format="plain")),
    Attack("2 quadratic texts as Markdown", partial(quadratic_texts, text_format="markdown")),
    Attack("2 quadratic texts as a conversation", partial(quadratic_texts, text_format="dialogue")),
    Attack("3 private-use characters in Markdown", private_use_characters),
    Attack("4 a scale up to 1e308", enormous_scales),
    Attack("4 one key for two requests or tasks", reused_keys),
    Attack("4 halves of surrogate pairs and NUL", halves_of_surrogates),
    Attack("4 100,000 nested brackets", nested_json),
    Attack("4 huge numbers in addresses and cursors", huge_integers),
    Attack("13 formulas in CSV", formulas_in_csv),
]
