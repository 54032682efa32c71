"""Every algorithm of rl_finetune is started, watched and stopped from the pages, while a real worker does it."""

import pytest
from django.urls import reverse

from annotate.models.studies import Study
from tests.factories import MembershipFactory
from tests.training.real_worker import wait_for
from training.engine.rl.config import ALGORITHMS
from training.models import ModelVersion, Run, RunState
from training.runs import operations

pytestmark = pytest.mark.django_db(transaction=True)
ENDLESS = {
    "max_steps": 5000, "prompts_per_step": 4, "num_generations": 2, "max_completion_length": 16, "eval_steps": 2,
    "best_of": 1, "save_steps": 1,
}  # fmt: skip


@pytest.fixture
def models(study, start_worker):
    """A policy and a causal preference model made from it, which pathwise needs, by the worker that goes on to tune."""
    start_worker()
    for kind, values in (
        ("pretrain", {"documents": 200, "max_steps": 10, "name": "writer"}),
        ("train_preference", {"base_model": "writer", "min_steps": 20, "explain": 0, "name": "taste"}),
    ):
        run = operations.queue_run(kind=kind, study=Study.objects.get(slug=study), values=values)
        wait_for(run, lambda run: run.ended)
        assert run.state == RunState.DONE, run.error
    return {flag: ModelVersion.objects.get(name=name).pk for flag, name in (("policy", "writer"), ("reward", "taste"))}


def test_each_is_started_watched_and_stopped(study, models, client):
    client.force_login(MembershipFactory(study=Study.objects.get(slug=study), role="manager").user)
    start = reverse("run-start", args=[study, "rl_finetune"])
    form = client.get(start).context["form"]
    shown = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False, "", [])}
    for algorithm in ALGORITHMS:
        started = client.post(start, {**shown, **models, **ENDLESS, "algorithm": algorithm})
        assert started.status_code == 302, started.context["form"].errors
        run = Run.objects.get(kind="rl_finetune", config__algorithm=algorithm)
        assert started.url == reverse("run", args=[run.pk])
        wait_for(run, lambda run: run.step >= 4 or run.ended)
        assert run.state == RunState.RUNNING, (algorithm, run.error or run.log_tail)
        watched = client.get(started.url).content.decode()
        live = client.get(reverse("run-live", args=[run.pk])).json()
        assert f"{algorithm} by palate" in watched
        assert "KL to the start, held-out prompts" in watched
        assert live["state"] == "running"
        client.post(reverse("run-cancel", args=[run.pk]))
        wait_for(run, lambda run: run.ended)
        assert run.state == RunState.CANCELLED, (algorithm, run.error)
        assert "cancelled" in client.get(started.url).content.decode()
    assert ModelVersion.objects.filter(study__slug=study).count() == len(models)
