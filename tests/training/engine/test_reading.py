"""How texts become rewards: rows, trees of one prompt's responses, and what is cut where a text is too long."""

import logging

import pytest
import torch

from tests.training.engine.conftest import BAD, GOOD
from training.engine.models import base_models
from training.engine.models.encoder import Reader
from training.engine.models.trees import Tree, _passes


class TestReading:
    def reader(self, folder, **changes):
        options = {"outputs": 1, "kind": "auto", "max_length": 64, "layers": 0, "lora_rank": 0, "checkpointing": False}
        reader = base_models.pretrained(str(folder), **options | changes)
        reader.model.eval()
        return reader

    def test_rewards_do_not_depend_on_the_batch(self, policy_folder):
        reader = self.reader(policy_folder)
        items = [("a", GOOD), ("a longer prompt than the other", BAD), ("", "x")]
        with torch.no_grad():
            alone = torch.cat([reader.outputs([item]) for item in items])
            assert torch.allclose(reader.outputs(items), alone, atol=1e-5)

    def test_a_shared_prompt_gives_the_rewards_and_gradients_of_reading_apart(self, policy_folder):
        reader = self.reader(policy_folder)
        items = [("What can I do about it?", text) for text in (GOOD, BAD, "Well.")] + [("And now?", GOOD)] * 2
        together = [(prompt, text) for prompt in ("one", "two") for text in (GOOD, BAD)] + items
        apart = reader.outputs(together)
        apart.sum().backward()
        gradients = [p.grad.clone() for p in reader.model.parameters()]
        reader.model.zero_grad()
        assert reader.try_trees(together) < 1e-5
        assert reader.trees
        assert reader.narrow
        for reader.narrow in (True, False):
            reader.model.zero_grad()
            shared = reader.outputs(together)
            shared.sum().backward()
            assert torch.allclose(shared, apart, atol=1e-5)
            assert all(
                torch.allclose(p.grad, g, atol=1e-4) for p, g in zip(reader.model.parameters(), gradients, strict=True)
            )

    def test_the_last_layer_computes_nothing_but_the_ends_of_the_responses(self, policy_folder):
        reader = self.reader(policy_folder)
        items = [("What can I do about it?", text) for text in (GOOD, BAD, "Well.")]
        reader.try_trees(items)
        layers = reader.model.model.layers
        read = []
        for layer in layers:
            layer.mlp.register_forward_pre_hook(lambda _, args: read.append(args[0].shape[1]))
        reader.outputs(items)
        assert read[-1] == len(items)
        assert min(read[:-1]) > 10 * len(items)
        assert not layers[-1]._forward_pre_hooks

    def test_a_layer_that_is_computed_twice_is_read_whole(self, policy_folder):
        items = [("What can I do about it?", text) for text in (GOOD, BAD)]
        gradients = []
        for checkpointing in (True, False):
            reader = self.reader(policy_folder, checkpointing=checkpointing)
            reader.model.score.weight.data.fill_(0.1)
            reader.try_trees(items)
            assert (reader.trees, reader.narrow) == (True, not checkpointing)
            reader.model.train()
            reader.outputs(items).sum().backward()
            gradients.append([p.grad for p in reader.model.parameters()])
        assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(*gradients, strict=True))

    @pytest.mark.parametrize(
        ("kind", "trees"),
        [
            pytest.param("gpt2", True, id="counts its states: its last layer is read whole"),
            pytest.param("bloom", False, id="reads trees differently: it keeps to rows"),
        ],
    )
    def test_models_are_read_as_they_allow(self, kind, trees, policy_folder):
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(policy_folder)
        config = AutoConfig.for_model(
            kind, vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_labels=1
        )
        reader = Reader(AutoModelForSequenceClassification.from_config(config).eval(), tokenizer, 64)
        reader.model.config.pad_token_id = tokenizer.pad_token_id
        reader.try_trees([("What can I do?", GOOD), ("What can I do?", BAD)])
        assert (reader.trees, reader.narrow) == (trees, False)

    def test_passes_over_trees_hold_each_once_with_little_padding(self):
        made = [Tree((), [0] * n, [[0] * 10, [0] * 10]) for n in (20, 20, 20, 20, 60, 61, 62, 300)]
        passes = list(_passes(made, 80))
        assert [tree for part in passes for tree in part] == made
        assert [len(part) for part in passes] == [4, 3, 1]
        assert [len(part) for part in _passes(made, 10_000)] == [8]

    @pytest.mark.parametrize("base", ["encoder_folder", "policy_folder"])
    def test_what_is_too_long_loses_the_start_of_its_prompt_and_is_counted(self, base, request):
        reader = self.reader(request.getfixturevalue(base), max_length=24)
        end = "what can i do ? " * 4
        items = [("refund " * 40 + end, GOOD), ("today " * 40 + end, GOOD), ("a", GOOD * 20)]
        reader.prepare(items)
        assert len(reader.truncated) == 3
        assert [reader.length(item) for item in items[:2]] == [24, 24]
        with torch.no_grad():
            first, second, _ = reader.outputs(items).flatten().tolist()
        assert first == pytest.approx(second, abs=1e-5)


def test_texts_that_are_too_long_are_cut_without_a_warning_of_errors_to_come(policy_folder):
    from training.engine.generation.sampling import load_policy

    told = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    logging.getLogger("transformers").addHandler(handler)
    try:
        long = "refund " * 400
        base_models.small("linear", [("a", long), ("a", "short")], outputs=1, max_length=16)
        assert len(load_policy(str(policy_folder)).prompt_ids(long, 8)) > 8
    finally:
        logging.getLogger("transformers").removeHandler(handler)
    assert [message for message in told if "indexing errors" in message] == []
