"""Answers after the end, the log of what was done, and what is left of a study and of a person."""

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from attack.instance import PASSWORD, Attack, Instance, Visitor, check
from attack.rating import (
    JSON,
    assignment_on,
    confirmed,
    judge_next,
    rating_page,
    send_answer,
    signed_in,
    take_task,
)

PRIVATE = "private words of a rater"


def after_the_end(instance: Instance, end: Callable[[Instance, Any], None]) -> None:
    """After the study was closed and the lease ran out, or the rater was excluded or removed, nothing is stored."""
    from annotate.models.judgements import Judgement
    from annotate.models.tasks import Assignment

    study = instance.study()
    instance.tasks(study, ["One?", "Two?", "Three?"])
    rater = instance.member(study)
    judge_next(rater, study)
    assignment = take_task(rater, study)
    judged = Judgement.objects.get(task__study=study)
    end(instance, study)
    before = Assignment.objects.filter(pk=assignment).values("draft", "expires_at").get()
    check(send_answer(rater, assignment, comment=PRIVATE).status in (404, 409, 422), "a leased answer is taken")
    correction = rater.post(f"/judgements/{judged.pk}/correct/", {"preference": "b2"})
    check(correction.status in (404, 422), f"a correction is taken: {correction.status}")
    rater.post(f"/assignments/{assignment}/draft/", {"preference": "b2", "comment": PRIVATE}, **JSON)
    after = Assignment.objects.filter(pk=assignment).values("draft", "expires_at").get()
    check(after == before, "a draft is kept, or the lease with it")
    check(Judgement.objects.filter(task__study=study).get() == judged, "an answer was stored")


def close(instance: Instance, study: Any) -> None:
    from django.utils import timezone

    from annotate.models.tasks import Assignment

    manager = instance.member(study, "manager")
    check(manager.post(f"/studies/{study.slug}/state/", {"to": "close"}).status == 302, "the study is not closed")
    Assignment.objects.filter(task__study=study).update(expires_at=timezone.now() - timedelta(seconds=1))


def exclude(instance: Instance, study: Any) -> None:
    study.memberships.filter(role="rater").update(status="excluded")


def remove(instance: Instance, study: Any) -> None:
    manager, rater = instance.member(study, "manager"), study.memberships.get(role="rater")
    answer = manager.post(f"/studies/{study.slug}/members/{rater.pk}/remove/")
    check(answer.status == 302, f"the rater is not removed: {answer.status}")


def lease_beyond_the_close(instance: Instance) -> None:
    """Drafts renew a lease; after Close they must not keep a task for ever."""
    from annotate.models.tasks import Assignment

    study = instance.study()
    instance.tasks(study, ["One?"])
    rater, manager = instance.member(study), instance.member(study, "manager")
    assignment = take_task(rater, study)
    manager.post(f"/studies/{study.slug}/state/", {"to": "close"})
    end = Assignment.objects.get(pk=assignment).expires_at
    for _n in range(3):
        rater.post(f"/assignments/{assignment}/draft/", {"preference": "a2"}, **JSON)
        rater.get(f"/studies/{study.slug}/rate/")
    check(Assignment.objects.get(pk=assignment).expires_at <= end, "a lease is renewed after Close")


def erasure_against_answers(instance: Instance) -> None:
    """An answer and the erasure of its rater at the same time: no words and no draft of the person stay."""
    from annotate.members.erasure import erase_member
    from annotate.models.judgements import Judgement
    from annotate.models.tasks import Assignment

    for _turn in range(8):
        study = instance.study()
        instance.tasks(study, ["One?", "Two?"])
        rater = instance.member(study)
        member, assignment, statuses = study.memberships.get(), take_task(rater, study), []
        answered = partial(answer_and_draft, rater, assignment, statuses)
        at_once([answered, answered, partial(erase_member, member=member)])
        check(all(status < 500 for status in statuses), f"an answer meanwhile: {statuses}")
        member.refresh_from_db()
        check(member.kind == "erased" and member.user is None, "the rater is not erased")
        check(not Judgement.objects.filter(rater=member).exclude(comment="").exists(), "a comment stays")
        check(not Assignment.objects.filter(rater=member, draft__isnull=False).exists(), "a draft stays")
        check(not Assignment.objects.filter(rater=member, state="leased").exists(), "a lease stays")


def answer_and_draft(rater: Visitor, assignment: str, statuses: list[int]) -> None:
    visitor = Visitor(rater.port, dict(rater.cookies))
    draft = visitor.post(f"/assignments/{assignment}/draft/", {"comment": PRIVATE}, **JSON)
    statuses += [draft.status, send_answer(visitor, assignment, comment=PRIVATE).status]


def at_once(calls: list[Callable[[], Any]]) -> None:
    """Make these calls at the same time, each in a thread with a database connection of its own."""
    from django.db import connection

    start, errors = threading.Barrier(len(calls)), []

    def run(call: Callable[[], Any]) -> None:
        start.wait()
        try:
            call()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def rewrites_corrected_at_once(instance: Instance) -> None:
    from annotate.models.judgements import Judgement

    study = instance.study(ask_rewrite=True)
    instance.tasks(study, ["What?"])
    rater = instance.member(study)
    judge_next(rater, study, rewrite="The first better version")
    vote = Judgement.objects.get(task__study=study, part="vote")

    def correct(n: int) -> None:
        visitor = Visitor(instance.port, dict(rater.cookies))
        answer = visitor.post(f"/judgements/{vote.pk}/correct/", {"preference": "b1", "rewrite": f"Version {n}"})
        check(answer.status in (302, 422), f"a correction: {answer.status}")

    at_once([partial(correct, n) for n in range(4)])
    live = Judgement.objects.filter(rater=vote.rater_id, live=True)
    parts = sorted(live.values_list("part", flat=True))
    check(parts == ["rewrite", "vote"], f"live are {parts}")


def checks_in_the_history(instance: Instance) -> None:
    """Answers to checks look like all others in a rater's own history, and can be changed like them."""
    from annotate.collection.gold import set_known_answer
    from annotate.models.judgements import Judgement

    study = instance.study(gold_share=0.5)
    tasks = instance.tasks(study, [f"Question {n}?" for n in range(20)])
    for task in tasks[:4]:
        set_known_answer(task=task, purpose="gold", ranks=[2, 1], explanation="because")
    rater = instance.member(study)
    while assignment := assignment_on(rating_page(rater, study)):  # checks end with the ordinary tasks
        send_answer(rater, assignment)
    answers = Judgement.objects.filter(task__study=study)
    check(answers.filter(task__purpose="gold").exists(), "no check was asked")
    page = rater.get(f"/studies/{study.slug}/history/").text
    rows = re.findall(r"<tr>\s*<td>.*?</tr>", page, re.DOTALL)
    alike = {re.sub(r"\d+|[AB] is better|slightly|clearly|much|\s+", "", row) for row in rows}
    check(
        len(rows) == answers.count() and len(alike) == 1, f"{len(rows)} rows of {len(alike)} kinds: {sorted(alike)[:2]}"
    )
    for judgement in answers:
        answer = rater.post(f"/judgements/{judgement.pk}/correct/", {"preference": "b2"})
        check(answer.status == 302, f"{judgement.task.purpose}: a correction is answered with {answer.status}")


def changes_in_the_log(instance: Instance) -> None:
    from annotate.models.audit import Entry

    study = instance.study()
    tasks = instance.tasks(study, [f"What is {n}?" for n in range(6)])
    manager, rater, program = instance.member(study, "manager"), instance.member(study), instance.program(study)
    base, member = f"/studies/{study.slug}", study.memberships.get(role="rater")
    hook = {"url": "https://93.184.216.34/", "events": ["round.begun"]}
    flagged = take_task(rater, study)
    task = study.tasks.get(assignments__pk=flagged).pk
    changes: list[tuple[str, Callable[[], Any]]] = [
        ("webhook", lambda: program.send(f"/api/v1{base}/webhooks/", hook)),
        ("tags", lambda: manager.post(f"{base}/members/{member.pk}/tags/", {"tags": "de"})),
        ("member reinstated", lambda: manager.post(f"{base}/members/{member.pk}/reinstate/")),
        ("invitation", lambda: manager.post(f"{base}/invitations/", {"days": "3"})),
        (
            "known answer",
            lambda: manager.post(f"{base}/tasks/{tasks[-1].pk}/gold/", {"preference": "a2", "purpose": "gold"}),
        ),
        ("task ", lambda: rater.post(f"/assignments/{flagged}/skip/", {"reason": "unsafe"})),
        ("flags", lambda: manager.post(f"{base}/tasks/{task}/resolve/", {"decision": "hand-out"})),
        ("dispute", lambda: manager.post(f"{base}/tasks/{task}/decide/", {"preference": "a2"})),
        ("raw.csv", lambda: manager.get(f"{base}/export/raw.csv")),
        ("judgements by the API", lambda: program.get(f"/api/v1{base}/judgements/")),
        ("settings", lambda: program.send(f"/api/v1{base}/", {"name": "Other"}, method="PATCH")),
        ("member", lambda: manager.post(f"{base}/members/{member.pk}/remove/")),
    ]
    for subject, change in changes:
        before = Entry.objects.filter(study=study).count()
        answer = change()
        check(answer.status in (200, 201, 302, 303), f"{subject}: {answer.status} {answer.text[-300:]}")
        added = Entry.objects.filter(study=study).order_by("-pk")[: Entry.objects.filter(study=study).count() - before]
        check(any(entry.subject.startswith(subject) for entry in added), f"{subject}: no entry")
    check("dispute" in manager.get(f"{base}/log/").text, "the page of the log does not show them")


def accounts_in_the_log(instance: Instance) -> None:
    from annotate.models.accounts import User
    from annotate.models.api import ApiToken
    from annotate.models.audit import Entry

    user = User.objects.create_user(username="logged", password=PASSWORD)
    visitor = confirmed(signed_in(instance, "logged"))
    made = visitor.post("/account/tokens/", {"name": "x", "scopes": "read", "days": "9"})
    check(made.status == 200, f"no token is made: {made.status} {made.headers.get('Location')}")
    superuser = instance.member(instance.study(), superuser=True)
    token = ApiToken.objects.get(user=user)
    check(superuser.post(f"/account/tokens/all/{token.pk}/end/").status == 302, "a superuser cannot end a token")
    visitor.post("/logout/")
    entries = Entry.objects.filter(study=None, user=user).order_by("pk").values_list("action", "subject")
    check(
        list(entries) == [("signed_in", "account"), ("added", "token"), ("signed_out", "account")], f"{list(entries)}"
    )
    ended = Entry.objects.filter(action="removed", subject="token").latest("pk")
    check(ended.details["of"] == "logged", "the end of somebody's token is not on record")


def deleted_study(instance: Instance) -> None:
    from annotate.models.studies import Study

    study, other = instance.study(), instance.study()
    instance.tasks(study, ["What?"])
    owner, manager, foreign = (
        instance.member(study, "owner"),
        instance.member(study, "manager"),
        instance.member(other, "owner"),
    )
    judge_next(instance.member(study), study)
    folders = [instance.folder / "uploads" / f"{study.pk}-1-x", instance.folder / "models" / study.slug]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    path, right = f"/studies/{study.slug}/delete/", {"confirmation": study.slug}
    for visitor, status in ((instance.stranger(), 302), (foreign, 404), (manager, 422)):
        check(visitor.post(path, right).status == status, f"deleting by another: not {status}")
    for wrong in ("", other.slug, study.slug.upper(), study.name):
        check(owner.post(path, {"confirmation": wrong}).status == 422, f"deleted by {wrong!r}")
    check(Study.objects.filter(pk=study.pk).exists(), "it is gone already")
    answer = owner.post(path, right)
    check(answer.status == 302, f"the owner cannot delete it: {answer.status}")
    check(not rows_of(study.pk), f"rows are left: {rows_of(study.pk)}")
    check(not any(folder.exists() for folder in folders), "files are left")
    check(owner.get(f"/studies/{study.slug}/").status == 404, "its pages still open")


def rows_of(study: int) -> dict[str, int]:
    """How many rows name the study, by table."""
    from django.apps import apps

    from annotate.models.studies import Study

    fields = [
        (model, field) for model in apps.get_models() for field in model._meta.fields if field.related_model is Study
    ]
    counts = {
        model._meta.label: model._default_manager.filter(**{field.name: study}).count() for model, field in fields
    }
    return {name: count for name, count in counts.items() if count}


def personal_data(instance: Instance) -> None:
    study = instance.study()
    instance.tasks(study, ["What?", "Which?"])
    rater, other = instance.member(study), instance.member(study)
    judge_next(rater, study, comment=PRIVATE)
    own, theirs = study.memberships.order_by("pk")
    path = "/account/data/"
    for member in (own, theirs):
        member.user.set_password(PASSWORD)
        member.user.save()
    check(instance.stranger().get(path).status == 302, "a stranger gets data")
    check(other.get("/account/").status == 302, "a session outlives its password")
    mine, curious = (signed_in(instance, member.user.username) for member in (own, theirs))
    check("/account/confirm/" in mine.get(path).headers.get("Location", ""), "data without the password given again")
    confirmed(mine)
    confirmed(curious)
    check(PRIVATE in mine.get(path).text, "one's own comment is missing")
    check(PRIVATE not in curious.get(path).text, "another person's comment is in it")
    check(curious.get(f"{path}?account={own.user.username}").status == 404, "another account's data")


ATTACKS: list[Attack] = [
    Attack("10 an answer, correction and draft after Close", partial(after_the_end, end=close)),
    Attack("10 an answer, correction and draft after exclusion", partial(after_the_end, end=exclude)),
    Attack("10 an answer, correction and draft after removal", partial(after_the_end, end=remove)),
    Attack("10 a lease that is renewed after Close", lease_beyond_the_close),
    Attack("10 an answer while its rater is erased", erasure_against_answers),
    Attack("10 a rewrite corrected four times at once", rewrites_corrected_at_once),
    Attack("10 checks in a rater's history", checks_in_the_history),
    Attack("11 changes of a study without an entry", changes_in_the_log),
    Attack("11 changes of an account without an entry", accounts_in_the_log),
    Attack("12 a study deleted by others, and what is left of it", deleted_study),
    Attack("12 personal data of others", personal_data),
]
