"""The protocol with a vLLM server: a server of the same interface, which samples with the real model and adapter."""

import dataclasses
import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.training.engine.policy.conftest import CONFIG, Remembering
from training.engine.generation.decoding import SamplingParams, decode, uniforms
from training.engine.generation.sampling import load_policy
from training.engine.generation.vllm import VllmSampler
from training.engine.rl.config import PolicyConfig


class Server(BaseHTTPRequestHandler):
    """Answers as vLLM's server does, as far as the sampler asks."""

    folder: str
    asked: list
    adapters: dict

    def do_GET(self):
        self._answer({"data": [{"id": "start"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        if self.path == "/v1/load_lora_adapter":
            from peft import PeftModel

            policy = load_policy(self.folder)
            self.adapters[body["lora_name"]] = PeftModel.from_pretrained(
                policy.model, body["lora_path"]
            ).get_base_model()
            return self._answer("Success")
        if self.path == "/v1/unload_lora_adapter":
            return self._answer("Success" if self.adapters.pop(body["lora_name"], None) else None)
        policy = load_policy(self.folder)
        model = policy.model if body["model"] == "start" else self.adapters[body["model"]]
        params = SamplingParams(body["max_tokens"], body["temperature"], max(0, body["top_k"]), body["top_p"])
        drawn = decode(
            model, [body["prompt"]], per_prompt=body["n"], params=params, end_ids=policy.end_ids,
            pad_id=policy.tokenizer.pad_token_id,
            draws=uniforms([body["seed"]], body["n"], params.max_completion_length),
        )  # fmt: skip
        return self._answer({"choices": [{"index": n, "token_ids": d.tokens} for n, d in enumerate(drawn)]})

    def _answer(self, what):
        self.send_response(200 if what is not None else 404)
        self.end_headers()
        self.wfile.write((what if isinstance(what, str) else json.dumps(what)).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server(policy_folder):
    handler = type("Handler", (Server,), {"folder": str(policy_folder), "asked": [], "adapters": {}})
    # One request at a time, since models are loaded: the others wait in a queue that is long enough.
    server = type("Queue", (HTTPServer,), {"request_queue_size": 64})(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_policy_is_tuned_on_samples_of_the_server_which_has_each_steps_adapter(tune, server, tmp_path, monkeypatch):
    handler, address = server
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = dataclasses.replace(
        CONFIG, lora_r=4, learning_rate=5e-3, max_steps=3, eval_steps=9, sampler="vllm", vllm_server_base_url=address
    )
    reporter = Remembering()
    metrics = tune(config=config, reporter=reporter)
    kls = [values["kl"] for _, values in reporter.points if "beta" in values]
    assert kls[0] == pytest.approx(0, abs=1e-3)
    assert kls[-1] != pytest.approx(0, abs=1e-3)  # the last step's samples came from an adapter that had moved
    assert metrics["after"]["kl"] > 0
    loaded = [body["lora_name"] for path, body in handler.asked if path == "/v1/load_lora_adapter"]
    assert len(loaded) >= 3
    assert len(set(loaded)) == len(loaded)
    # Neither the server nor this machine keeps an adapter, which the next run would meet under its own names.
    assert not handler.adapters
    assert not list(tmp_path.glob("palate-adapter-*"))
    models = [body["model"] for path, body in handler.asked if path == "/v1/completions"]
    assert models[0] == "start"
    assert models[-1] == loaded[-1]


def test_each_prompt_has_a_seed_and_a_repeated_prompt_gets_other_samples(server):
    handler, address = server
    sampler = VllmSampler(address)
    drawn = sampler.sample([[5, 6, 7]] * 3, per_prompt=2, params=SamplingParams(12), seeds=[1, 2, 1])
    assert [body["seed"] for _, body in sorted(handler.asked, key=lambda asked: asked[1]["seed"])] == [1, 1, 2]
    first, second, again = (drawn[n : n + 2] for n in (0, 2, 4))
    assert first == again
    assert not set(first) & set(second)
    sampler.close()


def test_what_goes_wrong_is_said(server, policy_folder, tmp_path, monkeypatch):
    handler, address = server
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ValueError, match="no vLLM server answers"):
        VllmSampler("http://127.0.0.1:9")
    with monkeypatch.context() as other:
        other.setattr(handler, "do_GET", lambda self: self._answer("<html>a page of something else</html>"))
        with pytest.raises(ValueError, match="is not a vLLM server"):
            VllmSampler(address)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="a LoRA adapter each step"):
        PolicyConfig(sampler="vllm")
    sampler = VllmSampler(address)
    handler.do_POST = lambda self: self._answer({"choices": [{"index": 0}]})
    with pytest.raises(ValueError, match="without their token ids"):
        sampler.sample([[5, 6]], per_prompt=1, params=SamplingParams(4), seeds=[0])
    handler.do_POST = lambda self: self._answer(None)
    with pytest.raises(ValueError, match="answered 404"):
        sampler.sample([[5, 6]], per_prompt=1, params=SamplingParams(4), seeds=[0])
