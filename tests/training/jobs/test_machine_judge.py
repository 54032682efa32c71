"""Machines judge pairs: a tiny causal model, and an endpoint on this machine."""

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from annotate.analytics.machine_judges.pairs import paired_votes
from annotate.analytics.reports.progress import progress_of_study
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from core.errors import PalateError
from tests.factories import MembershipFactory, StudyFactory, TaskFactory
from training.demo import corpus
from training.runs.execution import execute_run
from training.runs.operations import create_run

pytestmark = pytest.mark.django_db
RIGHT = "RIGHT"


class Endpoint(BaseHTTPRequestHandler):
    """Prefers the response that says RIGHT, with a pull to A; without log-probabilities when asked of "plain"."""

    asked: list = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], body))
        text = body["messages"][0]["content"]
        first = text.split("Response A:")[1].split("Response B:")[0]
        chance = 0.9 if RIGHT in first else 0.3
        choice = {"message": {"content": "A" if chance > 0.5 else "B"}}
        if body["model"] == "judge":
            output = {" A": chance / 2, "B": (1 - chance) / 2, "C": 0.5}
            tops = [{"token": token, "logprob": math.log(p)} for token, p in output.items()]
            choice["logprobs"] = {"content": [{"top_logprobs": tops}]}
        answer = b"no" if body["model"] == "broken" else json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def endpoint(settings):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.JUDGE_URL, settings.JUDGE_KEY = f"http://127.0.0.1:{server.server_port}/v1", "key"
    Endpoint.asked = []
    yield Endpoint
    server.shutdown()
    server.server_close()


@pytest.fixture
def study():
    """Four pairs, in which the first response is RIGHT; a person has judged two of them."""
    study = StudyFactory(slug="shop", require_reading=False, replication=1)
    for _ in range(4):
        task = TaskFactory(study=study)
        task.responses.filter(pk=task.responses.order_by("pk").first().pk).update(text=RIGHT)
    rater = MembershipFactory(study=study)
    for _ in range(2):
        assignment = lease_next(rater=rater)
        ranks = [1, 2] if assignment.shown[0] < assignment.shown[1] else [2, 1]
        submit(assignment=assignment, answer=Answer(ranks=ranks))
    return study


def run(study, **values):
    return execute_run(run=create_run(kind="machine_judge", study=study, values=values), reraise=True)


def test_an_endpoint_judges_both_orders_and_stays_apart(study, endpoint):
    before = progress_of_study(study)
    assert run(study, endpoint_model="judge", limit=3).result["pairs"] == 3
    path, key, body = endpoint.asked[0]
    assert (path, key, body["max_tokens"]) == ("/v1/chat/completions", "Bearer key", 1)
    machine = Membership.objects.get(kind="machine", external_id="judge")
    found = paired_votes(machine)
    assert found.forward.tolist() == pytest.approx([0.9] * 3)
    assert found.backward.tolist() == pytest.approx([0.3] * 3)
    assert found.chance.tolist() == pytest.approx([0.8] * 3)
    # Pairs that people judged come first; the other one has no votes of people.
    assert (sorted(found.votes.tolist()), found.people[found.with_people].tolist()) == ([0, 1, 1], [1, 1])
    # Nothing of it counts: no slot, no vote, no progress.
    assert progress_of_study(study) == before
    assert not Judgement.objects.counted().filter(rater=machine).exists()
    # Asked again, it goes on where it stopped.
    assert run(study, endpoint_model="judge").result["pairs"] == 1


def test_an_endpoint_without_log_probabilities(study, endpoint):
    run(study, endpoint_model="plain", limit=1)
    found = paired_votes(Membership.objects.get(kind="machine"))
    assert (found.forward.tolist(), found.backward.tolist()) == ([1.0], [0.0])


def test_an_endpoint_that_cannot_be_asked(study, endpoint, settings):
    with pytest.raises(PalateError, match="no chat completion"):
        run(study, endpoint_model="broken")
    settings.JUDGE_URL = "http://127.0.0.1:1"
    with pytest.raises(PalateError, match="JUDGE_URL"):
        run(study, endpoint_model="judge")
    settings.JUDGE_URL = ""
    for values in ({"endpoint_model": "judge"}, {}, {"model": "a", "endpoint_model": "b"}):
        with pytest.raises(PalateError, match=r"JUDGE_URL|either --model or --endpoint-model"):
            run(study, **values)
    assert not Judgement.objects.filter(rater__kind="machine").exists()


def test_a_causal_model_judges_by_log_probability(study, tmp_path, client):
    from training.engine.data.documents import Document
    from training.engine.pretraining.training import PretrainConfig, pretrain

    config = PretrainConfig(vocab_size=300, width=32, layers=1, heads=2, max_steps=2, batch_size=4)
    documents = [Document(prompt, (response,)) for prompt, response in corpus.documents(50)]
    pretrain(documents, output=tmp_path / "policy", config=config)
    run(study, model=str(tmp_path / "policy"))
    found = paired_votes(Membership.objects.get(kind="machine"))
    assert len(found.task) == 4
    assert ((found.forward > 0) & (found.forward < 1)).all()
    client.force_login(MembershipFactory(study=study, role="owner").user)
    page = client.get("/studies/shop/quality/machines/").content.decode()
    assert "4 pairs judged in both orders" in page
    assert "pull of the first place" in page
