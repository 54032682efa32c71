"""Policy optimization. finetune is the run; onpolicy and direct implement the algorithms."""

from training.engine.rl.config import ALGORITHMS, DIRECT, ON_POLICY, PolicyConfig
from training.engine.rl.finetune import TuningData, rl_finetune
from training.engine.rl.rewards import RewardConfig

__all__ = ["ALGORITHMS", "DIRECT", "ON_POLICY", "PolicyConfig", "RewardConfig", "TuningData", "rl_finetune"]
