"""Accounts, sign-in, and what raters and managers may still do when they should not."""

import os
import re
import time
from typing import Any

from crowd import web_server

from attack.answers import ATTACKS as ANSWERS
from attack.instance import PASSWORD, Attack, Instance, Visitor, check, free_port
from attack.rating import assignment_on, confirmed, judge_next, rating_page, sign_in, signed_in
from attack.texts import forget_failures


def account(instance: Instance, name: str) -> Any:
    """A new account with PASSWORD."""
    from annotate.models.accounts import User

    return User.objects.create_user(username=name, password=PASSWORD)


def crowd_by_invitation(instance: Instance) -> None:
    from annotate.members.operations import invite

    study = instance.study()
    invitation = invite(study=study, days=1)
    answers = []
    for n in range(60):
        fields = {"username": f"{study.slug}-crowd-{n}", "password": PASSWORD}
        answers.append(instance.stranger().post(f"/join/{invitation.token}/", fields))
    joined = study.memberships.count()
    check(joined <= invitation.hourly_uses, f"{joined} of 60 joined within the hour")
    late = answers[invitation.hourly_uses :]
    check(all(answer.status == 429 and "Retry-After" in answer.headers for answer in late), "no 429 with Retry-After")


def flag_everything(instance: Instance) -> None:
    study = instance.study()
    instance.tasks(study, [f"What is {n}?" for n in range(200)])
    rater, answer, flagged = instance.member(study), None, 0
    for _n in range(200):
        assignment = assignment_on(rating_page(rater, study))
        answer = rater.post(f"/assignments/{assignment}/skip/", {"reason": "unsafe", "details": "all of them"})
        if answer.status == 429:
            break
        flagged += 1
    check(
        answer and answer.status == 429 and "Retry-After" in answer.headers, f"{flagged} tasks were flagged in one go"
    )
    check("You have skipped or flagged" in answer.text, "the page does not say why")
    taken_out = study.tasks.filter(withdrawn=True).count()
    check(taken_out <= 5, f"one rater took out {taken_out} tasks")


def skipped_quiz(instance: Instance) -> None:
    from annotate.collection.gold import set_known_answer

    study = instance.study()
    tasks = instance.tasks(study, ["One?", "Two?", "Three?"])
    for task in tasks[:2]:
        set_known_answer(task=task, purpose="quiz", ranks=[1, 2])
    rater, honest = instance.member(study), instance.member(study)
    for reason in ("unsafe", "knowledge"):
        assignment = assignment_on(rating_page(rater, study))
        rater.post(f"/assignments/{assignment}/skip/", {"reason": reason, "details": ""})
    check(not study.memberships.filter(quiz_passed=True).exists(), "the quiz counts as passed")
    check(not assignment_on(rating_page(rater, study)), "who skipped the quiz is given tasks")
    check(study.tasks.filter(purpose="quiz", withdrawn=False).count() == 2, "a flag took the quiz out")
    asked = study.tasks.get(assignments__pk=assignment_on(rating_page(honest, study)))
    check(asked.purpose == "quiz", "others are not asked the quiz")


def flushed_counters(instance: Instance) -> None:
    """Failures of one account, then of hundreds of other names: the first still waits, but not its owner."""
    from annotate.models.sign_in import FailureCounter

    forget_failures()
    user = account(instance, "victim")
    owner = signed_in(instance, "victim")
    owner.post("/logout/")
    owner.cookies.pop("sessionid", None)
    attacker = instance.stranger()
    answers = [sign_in(attacker, "victim", f"wrong {n}") for n in range(30)]
    check(answers[-1].status == 429 and int(answers[-1].headers["Retry-After"]) > 0, "thirty failures cost no wait")
    tried = sum(answer.status != 429 for answer in answers)
    check(tried <= 5, f"{tried} passwords were tried in a row")
    for n in range(200):
        sign_in(attacker, f"nobody-{n}", "wrong")
    FailureCounter.objects.filter(kind="network").delete()  # as from another network
    check(sign_in(owner, "victim").status == 302, "the owner's own browser is kept out")
    # The wait itself may be over by now; one more failure sets a longer one, also for another spelling of the name.
    for name in ("victim", "VICTIM ", "victim"):
        answer = sign_in(instance.stranger(), name, "wrong")
    check(answer.status == 429, "other names make the failures of an account forgotten")
    user.delete()
    forget_failures()


def network_of_guesses(instance: Instance) -> None:
    """One guess at each of many accounts: the network waits; forged addresses make no other network of it."""
    forget_failures()
    attacker = instance.stranger()
    statuses = [sign_in(attacker, f"somebody-{n}", "wrong").status for n in range(40)]
    check(statuses[-1] == 429, "forty accounts may be tried from one network")
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    answer = attacker.post("/login/", {"login": "somebody", "password": "wrong"}, **forged)
    check(answer.status == 429, "a forged address counts as another network")
    forget_failures()


def password_links(instance: Instance) -> None:
    study = instance.study()
    manager, had_account = instance.member(study, "manager"), instance.member(study)
    members = f"/studies/{study.slug}/members/"
    name = f"{study.slug}-made"
    manager.post(members, {"username": name, "role": "rater", "password": PASSWORD})
    made = study.memberships.get(user__username=name)
    link = re.search(r"/password/[^/]+/[^/\"]+/", manager.post(f"{members}{made.pk}/password/").text)
    check(link and instance.stranger().get(link[0]).status == 302, "a link that holds does not open")
    manager.post(members, {"username": name, "role": "manager"})
    check(instance.stranger().get(link[0]).status != 302, "the link holds after a promotion")
    check("/password/M" not in manager.post(f"{members}{made.pk}/password/").text, "a link for a manager")
    other = study.memberships.get(role="rater")
    check("/password/M" not in manager.post(f"{members}{other.pk}/password/").text, "a link for an older account")
    check(had_account.get("/account/").status == 200, "that account is signed out")


def tokens(instance: Instance) -> None:
    from annotate.api.tokens import make_token
    from annotate.models.api import ApiToken

    study = instance.study()
    name = f"{study.slug}-tokens"
    user = account(instance, name)
    stolen = signed_in(instance, name)
    answer = stolen.post("/account/tokens/", {"name": "x", "scopes": "read", "days": "9"})
    check("/account/confirm/" in answer.headers.get("Location", ""), f"a token at once: {answer.status}")
    study.memberships.create(user=user, role="manager")
    program = Visitor(instance.port, token=make_token(user=user, name="x", scopes=["read"])[1])
    api = f"/api/v1/studies/{study.slug}/"
    check(program.get(api).status == 200, "a token that holds is refused")
    new = "an even longer password"
    changed = signed_in(instance, name).post(
        "/account/password/", {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    check(changed.status == 302, f"the password is not changed: {changed.status}")
    check(program.get(api).status == 401, "the token outlives its password")
    check(not ApiToken.objects.filter(user=user).exists(), "its row stays")


def private_pages(instance: Instance) -> None:
    study = instance.study()
    instance.tasks(study, ["What?", "Which?"])
    rater, manager, program = instance.member(study), instance.member(study, "manager"), instance.program(study)
    judge_next(rater, study)
    base = f"/studies/{study.slug}"
    pages = [
        "/",
        "/account/",
        "/account/tokens/",
        "/account/sessions/",
        "/account/2fa/",
        "/account/log.csv",
        f"{base}/",
    ]
    pages += [
        f"{base}/{page}" for page in ("members/", "export/raw.csv", "export/pairs.jsonl", "quality.csv", "log.csv")
    ]
    asked = [(path, manager.get(path)) for path in pages]
    asked += [(f"{base}/{page}", rater.get(f"{base}/{page}")) for page in ("rate/", "history/")]
    api = f"/api/v1/studies/{study.slug}"
    asked += [
        (f"{api}/{page}", program.get(f"{api}/{page}")) for page in ("judgements/", "export/raw.csv", "webhooks/")
    ]
    for path, answer in asked:
        check("no-store" in answer.headers.get("Cache-Control", ""), f"{path} ({answer.status}) may be kept by a cache")


def secret_of_the_second_step(instance: Instance) -> None:
    from allauth.mfa.models import Authenticator
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

    user = account(instance, "second-step")
    visitor = confirmed(signed_in(instance, "second-step"))
    page = visitor.get("/account/2fa/totp/activate/")
    secret = re.search(r"\b[A-Z2-7]{32}\b", page.text)
    check(secret, f"no secret on the page: {page.status} {page.headers.get('Location')}")
    code = format_hotp_value(hotp_value(secret[0], int(time.time()) // 30))
    check(visitor.post("/account/2fa/totp/activate/", {"code": code}).status == 302, "the code is not taken")
    stored = str(list(Authenticator.objects.filter(user=user).values("data")))
    check("fernet:" in stored and secret[0] not in stored, "the secret lies in the database in plain text")
    again = instance.stranger()
    sign_in(again, "second-step")
    check("/login/" in again.get("/account/").headers.get("Location", ""), "the password alone signs in")
    answer = again.post("/account/2fa/authenticate/", {"code": code})
    check(answer.status != 302, "a code is taken a second time")


def sessions(instance: Instance) -> None:
    from allauth.usersessions.models import UserSession
    from django.contrib.sessions.backends.db import SessionStore

    account(instance, "sessions")
    stolen, own = signed_in(instance, "sessions"), signed_in(instance, "sessions")
    for visitor in (stolen, own):
        check(visitor.get("/account/").status == 200, "a session does not hold")
    listed = UserSession.objects.get(session_key=stolen.cookies["sessionid"])
    stranger = instance.member(instance.study())
    check(stranger.post(f"/account/sessions/{listed.pk}/end/").status == 404, "others may end a session")
    check(own.post(f"/account/sessions/{listed.pk}/end/").status == 302, "a session of the list is not ended")
    check(stolen.get("/account/").status == 302, "a session that was ended goes on")
    session = SessionStore(own.cookies["sessionid"])
    session["seen_at"] = int(time.time()) - 9 * 3600
    session.save()
    check(own.get("/account/").status == 302, "a session that was idle for nine hours goes on")


def required_second_step(instance: Instance) -> None:
    """A second web server on the same data, which asks managers for a second step."""
    study = instance.study()
    manager, rater, program = instance.member(study, "manager"), instance.member(study), instance.program(study)
    port, before = free_port(), dict(os.environ)
    os.environ["REQUIRE_SECOND_STEP"] = "superuser,owner,manager"
    try:
        with web_server(instance.folder, port, workers=1):
            for visitor in (manager, rater, program):
                visitor.port = port
            for path in (
                f"/studies/{study.slug}/members/",
                f"/studies/{study.slug}/export/raw.csv",
                "/account/tokens/",
            ):
                answer = manager.get(path)
                check("/account/2fa/" in answer.headers.get("Location", ""), f"{path} opens: {answer.status}")
            check(program.get(f"/api/v1/studies/{study.slug}/").status == 403, "a token gets around the second step")
            check(rater.get(f"/studies/{study.slug}/rate/").status == 200, "raters are asked, too")
    finally:
        os.environ.clear()
        os.environ.update(before)


ATTACKS: list[Attack] = [
    Attack("7 one invitation, sixty accounts", crowd_by_invitation),
    Attack("7 one rater flags every task", flag_everything),
    Attack("7 a quiz that is skipped and flagged", skipped_quiz),
    Attack("8 thirty failures, then hundreds of other names", flushed_counters),
    Attack("8 many accounts from one network, with forged addresses", network_of_guesses),
    Attack("9 links to a new password", password_links),
    Attack("9 tokens after a new password, and without the old one", tokens),
    Attack("9 private pages in a cache", private_pages),
    Attack("9 the secret of the second step", secret_of_the_second_step),
    Attack("9 stolen and idle sessions", sessions),
    Attack("9 no second step where it is required", required_second_step),
    *ANSWERS,
]
