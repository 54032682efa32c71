"""Tokens' changes are what the two models themselves say of them."""

import pytest
import torch

from tests.training.engine.policy.conftest import CONFIG, PROMPTS
from training.engine.rl.actor import Actor
from training.engine.rl.token_changes import changes


@pytest.fixture
def actor(policy_folder):
    actor = Actor.load(str(policy_folder), CONFIG)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in actor.policy.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return actor


def test_each_token_has_the_difference_of_two_plain_passes(actor):
    text = "We will refund you.\n是 ok"
    ((pieces, empty),) = changes(actor, PROMPTS[:1], [(text, "")])
    ids = actor.response_ids(text)
    head = actor.prompt_ids(PROMPTS[0])
    rows = torch.tensor([[*head, *ids]])
    expected = []
    for model, sign in ((actor.policy.model, 1), (actor.reference, -1)):
        with torch.no_grad():
            logits = model(rows).logits[0, len(head) - 1 : -1].log_softmax(-1)
        expected.append(sign * logits.gather(1, torch.tensor(ids)[:, None])[:, 0])
    ratios = sum(expected)
    assert sum(value for _, value in pieces) == pytest.approx(float(ratios.sum()), abs=1e-3)
    assert pieces[0][1] == pytest.approx(float(ratios[0]), abs=1e-4)
    assert pieces[-1] == ("", pytest.approx(float(ratios[-1]), abs=1e-4))
    assert "".join(piece for piece, _ in pieces) == text
    # The Chinese character is several tokens of bytes, and one piece.
    assert len(pieces) < len(ids)
    assert [piece for piece, _ in empty] == [""]


def test_a_policy_that_did_not_move_changed_nothing_and_a_long_text_is_cut(policy_folder):
    actor = Actor.load(str(policy_folder), CONFIG)
    ((pieces,),) = changes(actor, PROMPTS[:1], [("We will refund you today. " * 20,)])
    assert len(pieces) <= CONFIG.max_completion_length + 2  # the rest and the end, which was not reached
    assert pieces[-1] == ("", 0.0)
    assert "".join(piece for piece, _ in pieces) == "We will refund you today. " * 20
    assert max(abs(value) for _, value in pieces) < 1e-5
