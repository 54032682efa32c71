import json

import pytest
from django.core.management import call_command

from tests.training.engine.conftest import encoder_folder  # noqa: F401  (a fixture of these tests, too)


@pytest.fixture
def study(tmp_path, settings):
    """Thirty prompts with two answers each, scored and ranked by three raters who like refunds."""
    settings.MODELS_DIR, settings.RUNS_DIR = tmp_path / "models", tmp_path / "runs"
    prompts = [{"prompt_id": f"p{n}", "text": f"My lamp number {n} is broken."} for n in range(30)]
    texts = {"a": "We will refund you today.", "b": "That is not our problem."}
    responses = [
        {"response_id": f"{p['prompt_id']}{key}", "prompt_id": p["prompt_id"], "text": text, "author": key}
        for p in prompts
        for key, text in texts.items()
    ]
    judgements = [
        {
            "prompt_id": p["prompt_id"],
            "shown": [f"{p['prompt_id']}{key}" for key in ("ab" if n % 2 else "ba")],
            "ranks": [1, 2] if n % 2 else [2, 1],
            "scores": {"helpful": [80, 20] if n % 2 else [20, 80]},
            "rater": f"rater {rater}",
        }
        for n, p in enumerate(prompts)
        for rater in range(3)
    ]
    for name, rows in (("p", prompts), ("r", responses), ("j", judgements)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = {flag: tmp_path / f"{flag[0]}.jsonl" for flag in ("prompts", "responses", "judgements")}
    call_command("import_judgements", "lamps", **files)
    return "lamps"
