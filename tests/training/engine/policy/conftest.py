import pytest

from tests.training.engine.conftest import records
from training.demo import corpus
from training.engine.preference.training import PreferenceConfig, train_preference
from training.engine.rl.config import PolicyConfig
from training.engine.rl.finetune import TuningData, rl_finetune
from training.engine.rl.rewards import RewardConfig
from training.engine.runtime.progress import SilentReporter

PROMPTS = ["My radio arrived damaged. What can I do?", "I paid twice for my lamp. Please tell me what to do."]
# Enough that the mean over half of them says more than the noise of single samples.
HELD_OUT = sorted({prompt for prompt, _ in corpus.documents(400)})[:64]
CONFIG = PolicyConfig(
    max_steps=6, prompts_per_step=4, num_generations=4, max_completion_length=24, save_steps=3, eval_steps=3, best_of=4
)


class CancelAt(SilentReporter):
    def __init__(self, step):
        self.at, self.step = step, 0

    def progress(self, step, total):
        self.step = step

    def cancelled(self):
        return self.step >= self.at


class Remembering(SilentReporter):
    def __init__(self):
        self.points, self.comparisons, self.lines = [], [], []

    def metric(self, step, **values):
        self.points.append((step, values))

    def comparison(self, step, prompt, texts, rewards, changes):
        self.comparisons.append((step, prompt, texts, rewards, changes))

    def log(self, message):
        self.lines.append(message)


@pytest.fixture(scope="session")
def reward_folder(policy_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    config = PreferenceConfig(num_epochs=2, min_steps=40, learning_rate=2e-3, max_length=96)
    train_preference(records(48), records(8, 48), base_model=str(policy_folder), output=folder, config=config)
    return folder


@pytest.fixture
def tune(policy_folder, reward_folder, tmp_path):
    """rl_finetune on two prompts; what is not given is as in CONFIG."""

    def run(name="tuned", **changes):
        options = {
            "policy": str(policy_folder),
            "reward": RewardConfig((str(reward_folder),)),
            "data": TuningData(PROMPTS * 4, HELD_OUT, {}, records(24), records(8, 48)),
            "config": CONFIG,
            "output": tmp_path / name,
        }
        return rl_finetune(**{**options, **changes})

    return run
