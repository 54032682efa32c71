"""Sample from a vLLM server, for policies that are slow to sample from in process.

The server serves the initial policy and receives the adapter of each step through its public API: POST
/v1/load_lora_adapter, /v1/unload_lora_adapter and /v1/completions. Start it with

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve MODEL --enable-lora --max-lora-rank RANK

on a machine that can read the adapter's folder. Its numerics differ from those of the training pass, so the
log-probabilities of its samples are computed in process.
"""

import contextlib
import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from training.engine.generation.decoding import SamplingParams

SECONDS = 600
REQUESTS = 64  # concurrent requests


class VllmSampler:
    def __init__(self, address: str) -> None:
        """Raise ValueError when no vLLM server answers at the address."""
        self.address = address.rstrip("/")
        self.base_model = self._served_model()
        self.folder = Path(tempfile.mkdtemp(prefix="palate-adapter-"))
        self.loaded = ""
        self.step = 0

    def update(self, adapted: Any) -> None:
        """Load the current adapter into the server and unload the previous one."""
        self.step += 1
        name = f"{self.folder.name}-{self.step}"  # other runs and processes may use the same server
        adapted.save_pretrained(self.folder / name)
        self._ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(self.folder / name)})
        if self.loaded:
            self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": self.loaded})
            shutil.rmtree(self.folder / self.loaded)
        self.loaded = name

    def sample(
        self,
        inputs: Sequence[Sequence[int]],
        *,
        per_prompt: int,
        params: SamplingParams,
        seeds: Sequence[int],
        from_reference: bool = False,
    ) -> list[tuple[int, ...]]:
        """Return the tokens of `per_prompt` samples per prompt, prompt by prompt, with the adapter or from the
        reference.

        Each prompt is a request with its own seed: with one seed for a list of prompts the server returns equal samples
        for equal prompts. The server batches concurrent requests.
        """
        with ThreadPoolExecutor(max_workers=min(len(inputs), REQUESTS)) as pool:
            rows = pool.map(
                lambda ids, seed: self._completions(ids, per_prompt, params, seed, from_reference), inputs, seeds
            )
            return [tokens for samples in rows for tokens in samples]

    def _completions(
        self, ids: Sequence[int], per_prompt: int, params: SamplingParams, seed: int, from_reference: bool
    ) -> list[tuple[int, ...]]:
        """Return the tokens of the samples of one prompt."""
        answer = self._ask(
            "POST",
            "/v1/completions",
            {
                "model": self.base_model if from_reference or not self.loaded else self.loaded,
                "prompt": list(ids),
                "n": per_prompt,
                "max_tokens": params.max_completion_length,
                "temperature": params.temperature,
                "top_k": params.top_k or -1,
                "top_p": params.top_p,
                "repetition_penalty": 1.0,
                "logit_bias": {str(token): -100 for token in params.banned},
                "seed": seed,
                "return_token_ids": True,
                "skip_special_tokens": False,
            },
        )
        choices = sorted(answer["choices"], key=lambda choice: choice["index"])
        if len(choices) != per_prompt or any(not choice.get("token_ids") for choice in choices):
            raise ValueError(
                f"{self.address} answered {len(choices)} samples instead of {per_prompt}, or without their token ids; "
                "vLLM 0.10.2 or later is needed"
            )
        return [tuple(choice["token_ids"]) for choice in choices]

    def close(self) -> None:
        """Delete the adapter's folder and unload the adapter from the server."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.loaded:
            with contextlib.suppress(ValueError):  # the server itself may have failed
                self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": self.loaded})

    def _served_model(self) -> str:
        try:
            return str(self._ask("GET", "/v1/models")["data"][0]["id"])
        except (TypeError, LookupError):
            raise ValueError(f"the server at {self.address} is not a vLLM server: /v1/models names no model") from None

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            body_text = error.read().decode(errors="replace").strip()
            # An HTML page comes from another service and is not worth quoting.
            reason = error.reason if body_text.startswith("<") else body_text[:300]
            raise ValueError(f"{self.address}{path} answered {error.code}: {reason}") from None
        except OSError as error:
            raise ValueError(f"no vLLM server answers at {self.address}: {error}") from None
        return json.loads(text) if text.startswith(("{", "[")) else text
