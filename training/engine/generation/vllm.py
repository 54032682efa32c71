"""Samples from a vLLM server, for policies that are slow to sample from here.

The server holds the start and is given the adapter of each step by its public interface: POST /v1/load_lora_adapter,
/v1/unload_lora_adapter and /v1/completions. Start it with

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve MODEL --enable-lora --max-lora-rank RANK

on a machine that sees the adapter's folder. Its numerics are not those of the training pass, so the log-probabilities
of what it draws are computed here.
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

from training.engine.generation.decoding import Sampling

SECONDS = 600
REQUESTS = 64  # that are under way at once


class VllmSampler:
    def __init__(self, address: str) -> None:
        """Raises ValueError when no server answers at the address, or another one than vLLM's."""
        self.address = address.rstrip("/")
        self.start = self._served_model()
        self.folder = Path(tempfile.mkdtemp(prefix="palate-adapter-"))
        self.loaded = ""
        self.step = 0

    def update(self, adapted: Any) -> None:
        """Give the server the adapter as it is now; the one before is taken out."""
        self.step += 1
        name = f"{self.folder.name}-{self.step}"  # other runs, and processes of this one, may use the server, too
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
        how: Sampling,
        seeds: Sequence[int],
        start: bool = False,
    ) -> list[tuple[int, ...]]:
        """Tokens of `per_prompt` samples of each prompt, prompt by prompt; of the start instead of the adapter.

        Each prompt is a request with a seed of its own: with one seed for a list of prompts the server gives equal
        samples to equal prompts. The server batches what comes at once.
        """
        with ThreadPoolExecutor(max_workers=min(len(inputs), REQUESTS)) as pool:
            rows = pool.map(lambda ids, seed: self._completions(ids, per_prompt, how, seed, start), inputs, seeds)
            return [tokens for of_prompt in rows for tokens in of_prompt]

    def _completions(
        self, ids: Sequence[int], per_prompt: int, how: Sampling, seed: int, start: bool
    ) -> list[tuple[int, ...]]:
        """Tokens of the samples of one prompt."""
        answer = self._ask(
            "POST",
            "/v1/completions",
            {
                "model": self.start if start or not self.loaded else self.loaded,
                "prompt": list(ids),
                "n": per_prompt,
                "max_tokens": how.max_new_tokens,
                "temperature": how.temperature,
                "top_k": how.top_k or -1,
                "top_p": how.top_p,
                "repetition_penalty": 1.0,
                "logit_bias": {str(token): -100 for token in how.banned},
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
        """Leave nothing behind, here or on the server."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.loaded:
            with contextlib.suppress(ValueError):  # the server may be what failed
                self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": self.loaded})

    def _served_model(self) -> str:
        try:
            return str(self._ask("GET", "/v1/models")["data"][0]["id"])
        except (TypeError, LookupError):
            raise ValueError(
                f"{self.address} answers, but not as a vLLM server does: /v1/models names no model"
            ) from None

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace").strip()
            # A page of something else that listens there says nothing here.
            told = error.reason if said.startswith("<") else said[:300]
            raise ValueError(f"{self.address}{path} answered {error.code}: {told}") from None
        except OSError as error:
            raise ValueError(f"no vLLM server answers at {self.address}: {error}") from None
        return json.loads(text) if text.startswith(("{", "[")) else text
