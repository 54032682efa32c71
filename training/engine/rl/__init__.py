"""Policy optimisation. finetune runs it; onpolicy and direct are the two families of algorithms."""

from training.engine.rl.config import ALGORITHMS, DIRECT, ON_POLICY, PolicyConfig
from training.engine.rl.finetune import Material, rl_finetune
from training.engine.rl.rewards import RewardConfig

__all__ = ["ALGORITHMS", "DIRECT", "ON_POLICY", "Material", "PolicyConfig", "RewardConfig", "rl_finetune"]
