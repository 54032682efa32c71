"""What a web process and a worker of the previous release do, run with that release's code on this release's tables.

Prints the columns that it knows, as JSON.
"""

import json

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.db import transaction  # noqa: E402
from django.test import Client  # noqa: E402

from annotate.api.uploads import add_prompts, add_responses  # noqa: E402
from annotate.collection.judgements import Answer, correct, submit  # noqa: E402
from annotate.collection.leases import lease_next, release_lease, skip  # noqa: E402
from annotate.models.accounts import User  # noqa: E402
from annotate.models.judgements import Judgement  # noqa: E402
from annotate.models.members import Membership  # noqa: E402
from annotate.models.studies import Study  # noqa: E402
from training.models import Run, RunState  # noqa: E402
from training.runs import execution, operations, queue  # noqa: E402

study = Study.objects.create(slug="old", name="Old", replication=2)
members = {}
for role in ("owner", "rater"):
    user = User.objects.create_user(role, password="an old password")
    members[role] = Membership.objects.create(study=study, user=user, role=role)
responses = [
    {"prompt_id": f"p{n}", "prompt": f"What is {n}?", "response": f"It is {word}.", "author": word}
    for n in range(6)
    for word in ("a", "b")
]
with transaction.atomic():
    add_prompts(study=study, entries=[{"id": f"p{n}", "text": f"What is {n}?"} for n in range(6)])
    add_responses(study=study, entries=responses, make_tasks=True)

first = submit(assignment=lease_next(rater=members["rater"]), answer=Answer(ranks=[1, 2], comment="old"))
correct(judgement=first, answer=Answer(ranks=[2, 1]))
skip(assignment=lease_next(rater=members["rater"]), reason="too hard")
release_lease(assignment=lease_next(rater=members["rater"]))
assert Judgement.objects.filter(live=True).count() == 1

for role, paths in {
    "rater": ["/", "/studies/old/rate/", "/studies/old/history/"],
    "owner": [
        "/studies/old/",
        "/studies/old/quality/",
        "/studies/old/runs/",
        "/studies/old/members/",
        "/studies/old/log/",
    ],
}.items():
    client = Client(SERVER_NAME="localhost")
    signed_in = client.post("/login/", {"login": role, "password": "an old password"})
    assert signed_in.status_code == 302, signed_in.status_code
    for path in paths:
        assert client.get(path, follow=True).status_code == 200, path

run = operations.create_run(
    kind="simulate_raters", study=study, values={"judgements": 4}, created_by=members["owner"].user
)
execution.execute_run(run=run, reraise=True)
assert (run.state, Run.objects.get(pk=run.pk).result["judgements"]) == (RunState.DONE, 4)
waiting = operations.create_run(kind="simulate_raters", study=study, values={"judgements": 4}, in_worker=True)
queue.requeue_lost_runs()
operations.cancel_run(run=waiting)
assert Run.objects.get(pk=waiting.pk).state == RunState.CANCELLED

own = (model for model in apps.get_models() if model._meta.managed)
print(json.dumps({model._meta.db_table: [field.column for field in model._meta.concrete_fields] for model in own}))
