"""What torchrun runs in test_parallel: one tuning run in several processes, each telling its weights."""

import hashlib
import json
import os
import sys
from pathlib import Path

from tests.training.engine.policy.conftest import PROMPTS
from training.engine.policy import Material, PolicyConfig, RewardConfig, rl_finetune
from training.engine.sampling import load_policy


def main(policy: str, folder: str) -> None:
    rank, asked = os.environ["RANK"], []

    def lengths(prompts, responses):
        asked.extend(responses)
        return [float(len(text)) / 10 for text in responses]

    sys.modules["rewarded"] = type(sys)("rewarded")
    sys.modules["rewarded"].lengths = lengths
    metrics = rl_finetune(
        policy=policy, reward=RewardConfig(function="rewarded.lengths"), material=Material(PROMPTS * 4, PROMPTS, {}),
        output=Path(folder) / f"tuned-{rank}",
        config=PolicyConfig(
            steps=3, prompts_per_step=4, max_new_tokens=16, learning_rate=1e-3, best_of=1, look_every=9
        ),
    )  # fmt: skip
    told = {"after": metrics["after"], "texts": asked}
    if rank == "0":
        weights = load_policy(f"{folder}/tuned-0").model.state_dict()
        told["saved"] = hashlib.sha256(b"".join(w.numpy().tobytes() for w in weights.values())).hexdigest()
    (Path(folder) / f"{rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
