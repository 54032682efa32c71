"""How sure a model may be that was calibrated on few groups of prompts."""

import numpy as np
import pytest
import torch

from core.records import Pair, Vote
from training.engine.models.reward import PreferenceModel, Settings
from training.engine.objectives.votes import VoteModel, VoteOptions
from training.engine.preference.calibration import fit_temperature, shrunk
from training.engine.preference.training import calibrate


def test_the_usual_temperature_counts_as_one_group():
    assert shrunk(4.0, 1.0, 1) == pytest.approx(2.0)
    assert shrunk(4.0, 1.0, 3) == pytest.approx(4**0.75)
    assert shrunk(4.0, 4.0, 2) == pytest.approx(4.0)
    assert shrunk(4.0, 1.0, 10**6) == pytest.approx(4.0, rel=1e-4)


class TestCalibrate:
    """In each group are twelve pairs; a is one better than b and has four votes of six."""

    def pairs(self, groups):
        votes = [Vote("r", 1.0, True, 4.0, votes=4), Vote("r", 0.0, True, 2.0, votes=2)]
        return [
            Pair(f"p{g}-{n}", f"g{g}", f"{g} {n}", "a", "b", "better", "worse", list(votes))
            for g in range(groups)
            for n in range(12)
        ]

    def temperature(self, groups, votes=None):
        pairs = self.pairs(groups)
        rewards = {(p.prompt, text): torch.tensor([[r]]) for p in pairs for text, r in ((p.a, 1.0), (p.b, 0.0))}
        model = PreferenceModel([], Settings(max_length=8))
        calibrate(model, pairs, [rewards], votes)
        return model.temperature

    def test_one_group_is_drawn_half_the_way_to_the_scale_of_the_likelihood(self):
        fitted, share = self.temperature(1), np.full(12, 1 / (1 + np.exp(-1)))
        own = fit_temperature(np.ones(12), share, np.full(12, 6.0))
        found = self.temperature(1, VoteModel(VoteOptions(ties="half"), []))
        assert own == pytest.approx(1.0, rel=0.05)
        assert found == pytest.approx((fitted * own) ** 0.5, rel=1e-3)

    def test_many_groups_speak_for_themselves(self):
        votes = VoteModel(VoteOptions(ties="half"), [])
        assert self.temperature(60, votes) == pytest.approx(self.temperature(60), rel=0.02)
        assert self.temperature(1, votes) < 0.9 * self.temperature(1)
