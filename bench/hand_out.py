"""How fast tasks are handed out and judged by many raters at once: SKIP LOCKED beside waiting for the lock.

Prints judgements a second for both, in turn in one run on the same database, and the ratio. The peer is the
usual queue, `SELECT … FOR UPDATE` without SKIP LOCKED, in an otherwise equal program.
"""

import multiprocessing
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palate.settings")

TASKS, RATERS, REPLICATION, ROUNDS = 400, 8, 2, 3


def main() -> None:
    import django

    django.setup()
    rates: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        for skip_locked in (True, False):
            rates[skip_locked].append(judgements_a_second(f"bench-{os.getpid()}-{number}", skip_locked))
    best, peer = (sorted(rates[key])[ROUNDS // 2] for key in (True, False))
    print(f"{RATERS} raters at once, {TASKS} tasks, {REPLICATION} judgements each; median of {ROUNDS}")
    print(f"SKIP LOCKED  {best:6.0f} judgements a second")
    print(f"FOR UPDATE   {peer:6.0f} judgements a second")
    print(f"ratio        {best / peer:6.2f}")


def judgements_a_second(slug: str, skip_locked: bool) -> float:
    from django.db import connections

    from annotate.studies.operations import erase_study

    study, raters = make_study(slug)
    connections.close_all()  # the children must not share this process's connection
    started = time.perf_counter()
    with multiprocessing.Pool(RATERS) as pool:
        made = pool.starmap(judge_all, [(rater, skip_locked) for rater in raters])
    seconds = time.perf_counter() - started
    erase_study(study=study)
    assert sum(made) == TASKS * REPLICATION, f"{sum(made)} judgements instead of {TASKS * REPLICATION}"
    return sum(made) / seconds


def make_study(slug):
    from annotate.collection.leases import create_tasks
    from annotate.models.choices import Kind
    from annotate.models.members import Membership
    from annotate.models.prompts import Prompt, Response, Split
    from annotate.studies.operations import create_study

    study = create_study(slug=slug, name=slug, replication=REPLICATION)
    prompts = Prompt.objects.bulk_create(
        Prompt(study=study, external_id=str(n), text=f"prompt {n}", split=Split.TRAIN) for n in range(TASKS)
    )
    pairs = [
        Response.objects.bulk_create(
            Response(prompt=prompt, external_id=str(n), text=f"response {n}", author_name="bench") for n in range(2)
        )
        for prompt in prompts
    ]
    create_tasks(study=study, response_sets=pairs)
    raters = [Membership.objects.create(study=study, external_id=str(n), kind=Kind.SIMULATED).pk for n in range(RATERS)]
    return study, raters


def judge_all(rater_pk: int, skip_locked: bool) -> int:
    from annotate.collection import leases
    from annotate.collection.judgements import Answer, submit
    from annotate.models.members import Membership

    if not skip_locked:
        next_open = leases._next_open
        leases._next_open = lambda rater, *, skip_locked: next_open(rater, skip_locked=False)
    rater, made = Membership.objects.select_related("study").get(pk=rater_pk), 0
    while assignment := leases.lease_next(rater=rater):
        submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
        made += 1
    return made


if __name__ == "__main__":
    main()
