"""DPO and KTO: what a response's likelihood is measured by, KTO's origin, and ties."""

import dataclasses

import pytest
import torch

from core.records import LABEL
from tests.training.engine.conftest import records
from tests.training.engine.policy.conftest import CONFIG
from training.engine.generation.rows import Group
from training.engine.rl.actor import Actor
from training.engine.rl.direct import Direct
from training.engine.rl.state import State


def direct(policy_folder, judged, **changes):
    config = dataclasses.replace(CONFIG, algorithm="dpo", max_completion_length=64, **changes)
    return Direct(Actor.load(str(policy_folder), config), config, judged, [])


def moved(algorithm):
    """A policy that is no longer its start."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in algorithm.actor.policy.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return algorithm


def test_log_probabilities_do_not_depend_on_the_sampling_temperature(policy_folder):
    ratios = []
    for temperature in (1.0, 0.5, 0.0):
        algorithm = moved(direct(policy_folder, records(2), temperature=temperature))
        (question, *_) = algorithm.train.values()
        ratios.append(algorithm._log_ratios(question).detach())
    group = question.group
    rows = [torch.tensor([[*group.prompt, *response]]) for response in group.responses]
    for model, sign in ((algorithm.actor.policy.model, 1), (algorithm.actor.reference, -1)):
        for n, row in enumerate(rows):
            with torch.no_grad():
                logits = model(row).logits[0, len(group.prompt) - 1 : -1].log_softmax(-1)
            plain = logits.gather(1, row[0, len(group.prompt) :, None]).sum()
            ratios[0][n] -= sign * plain
            ratios[1][n] -= sign * plain
            ratios[2][n] -= sign * plain
    for left in ratios:
        assert left.abs().max() < 1e-3


def test_ktos_origin_is_measured_on_another_prompts_response(policy_folder):
    """Also where a step has one prompt: its own response would be its own baseline."""
    algorithm = moved(direct(policy_folder, records(3), prompts_per_step=1))
    keys = sorted(algorithm.train)
    for n, key in enumerate(keys):
        stranger = algorithm.train[keys[(n + 1) % 3]].group.responses[0]
        group = Group(algorithm.train[key].group.prompt, [stranger])
        width = len(stranger)
        ratio = algorithm.actor.log_probs([group], width) - algorithm.actor.reference_log_probs([group], width)
        assert algorithm._origin([key], 1).item() == pytest.approx(max(0.0, ratio.sum().item()), abs=1e-4)


def test_kto_needs_two_prompts(policy_folder):
    config = dataclasses.replace(CONFIG, algorithm="kto")
    with pytest.raises(ValueError, match="kto needs judgements on at least two prompts"):
        Direct(Actor.load(str(policy_folder), config), config, records(1), [])


def test_equal_ratios_count_as_half(policy_folder):
    algorithm = direct(policy_folder, records(8), prompts_per_step=8)
    algorithm.validation = algorithm.train
    # The policy is its start, so that no response of a pair has the larger ratio.
    assert algorithm.figures()["preference_accuracy"] == pytest.approx(0.5, abs=1e-6)
    assert algorithm.step(State())["preference_accuracy"] == pytest.approx(0.5, abs=1e-6)


def labelled(count):
    """One answer to each prompt, every second one good; no rater judged two of a prompt."""
    pairs = zip(records(count), range(count), strict=True)
    return [
        dataclasses.replace(
            record, ranks=None, response_ids=record.response_ids[:1], responses=record.responses[:1],
            scores={LABEL: (float(n % 2),)},
        )
        for record, n in pairs
    ]  # fmt: skip


def test_kto_learns_from_labels_alone(policy_folder):
    config = dataclasses.replace(CONFIG, algorithm="kto", max_completion_length=64, prompts_per_step=8)
    judged = labelled(8)
    algorithm = Direct(Actor.load(str(policy_folder), config), config, judged, judged)
    assert [question.liked.tolist() for question in algorithm.train.values()] == [[n % 2] for n in range(8)]
    assert algorithm.figures() == {}  # nobody compared two responses
    state = State()
    for _ in range(6):
        algorithm.step(state)
        state.step += 1
    with torch.no_grad():
        ratios = [algorithm._log_ratios(question).item() for question in algorithm.train.values()]
    assert min(ratios[1::2]) > max(ratios[0::2])
    with pytest.raises(ValueError, match="none compares two responses"):
        direct(policy_folder, judged)


def test_a_label_says_more_of_a_response_than_its_pairs(policy_folder):
    """The rest of a prompt's responses keep what their pairs say."""
    (pair,) = records(1)
    label = dataclasses.replace(
        pair, ranks=None, response_ids=pair.response_ids[:1], responses=pair.responses[:1], scores={LABEL: (1.0,)}
    )
    config = dataclasses.replace(CONFIG, algorithm="kto")
    judged = [pair, *records(1, 1), label]
    algorithm = Direct(Actor.load(str(policy_folder), config), config, judged, [])
    assert pair.ranks == (2, 1)
    assert algorithm.train["0"].liked.tolist() == [1.0, 1.0]
