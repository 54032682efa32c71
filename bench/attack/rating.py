"""What the browser of a rater or of another account does."""

import re
from typing import Any

from attack.instance import PASSWORD, Answer, Instance, Visitor, check

JSON = {"Accept": "application/json"}


def rating_page(rater: Visitor, study: Any, *, seconds: float = 60) -> Answer:
    answer = rater.get(f"/studies/{study.slug}/rate/", seconds=seconds)
    check(answer.status == 200, f"the rating page answers {answer.status}")
    return answer


def assignment_on(page: Answer) -> str:
    """The number of the assignment that a page shows; empty when it shows none."""
    found = re.search(r'data-assignment="(\d+)"', page.text)
    return found[1] if found else ""


def take_task(rater: Visitor, study: Any) -> str:
    """The number of the assignment that the rater is given."""
    assignment = assignment_on(rating_page(rater, study))
    check(assignment, "the rater is given no task")
    return assignment


def send_answer(rater: Visitor, assignment: str, **fields: Any) -> Answer:
    return rater.post(f"/assignments/{assignment}/judge/", {"preference": "a2", **fields}, **JSON)


def judge_next(rater: Visitor, study: Any, **fields: Any) -> Answer:
    """Judge the next task; the answer is the server's."""
    answer = send_answer(rater, take_task(rater, study), **fields)
    check(answer.status == 200, f"an ordinary judgement: {answer.status} {answer.text[:200]}")
    return answer


def sign_in(visitor: Visitor, name: str, password: str = PASSWORD) -> Answer:
    return visitor.post("/login/", {"login": name, "password": password})


def signed_in(instance: Instance, name: str) -> Visitor:
    """A browser in which the account has just signed in with its password."""
    visitor = instance.stranger()
    answer = sign_in(visitor, name)
    check(answer.status == 302 and "sessionid" in visitor.cookies, f"{name} cannot sign in: {answer.status}")
    return visitor


def confirmed(visitor: Visitor) -> Visitor:
    """The same browser, in which the password has just been given again."""
    answer = visitor.post("/account/confirm/", {"password": PASSWORD})
    check(answer.status == 302, f"the password is not taken again: {answer.status}")
    return visitor
