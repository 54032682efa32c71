"""How texts become rewards: rows, trees of one prompt's responses, and what is cut where a text is too long."""

import logging

import pytest
import torch

from tests.training.engine.conftest import BAD, GOOD
from training.engine.models import base_models
from training.engine.models.encoder import Encoder
from training.engine.models.trees import Tree, _passes


class TestReading:
    def encoder(self, folder, **changes):
        options = {
            "outputs": 1,
            "kind": "auto",
            "max_length": 64,
            "layers": 0,
            "lora_r": 0,
            "gradient_checkpointing": False,
        }
        encoder = base_models.pretrained(str(folder), **options | changes)
        encoder.model.eval()
        return encoder

    def test_rewards_do_not_depend_on_the_batch(self, policy_folder):
        encoder = self.encoder(policy_folder)
        items = [("a", GOOD), ("a longer prompt than the other", BAD), ("", "x")]
        with torch.no_grad():
            alone = torch.cat([encoder.outputs([item]) for item in items])
            assert torch.allclose(encoder.outputs(items), alone, atol=1e-5)

    def test_a_shared_prompt_gives_the_rewards_and_gradients_of_reading_apart(self, policy_folder):
        encoder = self.encoder(policy_folder)
        items = [("What can I do about it?", text) for text in (GOOD, BAD, "Well.")] + [("And now?", GOOD)] * 2
        together = [(prompt, text) for prompt in ("one", "two") for text in (GOOD, BAD)] + items
        separate = encoder.outputs(together)
        separate.sum().backward()
        gradients = [p.grad.clone() for p in encoder.model.parameters()]
        encoder.model.zero_grad()
        assert encoder.enable_trees(together) < 1e-5
        assert encoder.trees
        assert encoder.last_layer_only
        for encoder.last_layer_only in (True, False):
            encoder.model.zero_grad()
            shared = encoder.outputs(together)
            shared.sum().backward()
            assert torch.allclose(shared, separate, atol=1e-5)
            assert all(
                torch.allclose(p.grad, g, atol=1e-4) for p, g in zip(encoder.model.parameters(), gradients, strict=True)
            )

    def test_the_last_layer_computes_nothing_but_the_ends_of_the_responses(self, policy_folder):
        encoder = self.encoder(policy_folder)
        items = [("What can I do about it?", text) for text in (GOOD, BAD, "Well.")]
        encoder.enable_trees(items)
        layers = encoder.model.model.layers
        read = []
        for layer in layers:
            layer.mlp.register_forward_pre_hook(lambda _, args: read.append(args[0].shape[1]))
        encoder.outputs(items)
        assert read[-1] == len(items)
        assert min(read[:-1]) > 10 * len(items)
        assert not layers[-1]._forward_pre_hooks

    def test_a_layer_that_is_computed_twice_is_read_whole(self, policy_folder):
        items = [("What can I do about it?", text) for text in (GOOD, BAD)]
        gradients = []
        for checkpointing in (True, False):
            encoder = self.encoder(policy_folder, gradient_checkpointing=checkpointing)
            encoder.model.score.weight.data.fill_(0.1)
            encoder.enable_trees(items)
            assert (encoder.trees, encoder.last_layer_only) == (True, not checkpointing)
            encoder.model.train()
            encoder.outputs(items).sum().backward()
            gradients.append([p.grad for p in encoder.model.parameters()])
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
        encoder = Encoder(AutoModelForSequenceClassification.from_config(config).eval(), tokenizer, 64)
        encoder.model.config.pad_token_id = tokenizer.pad_token_id
        encoder.enable_trees([("What can I do?", GOOD), ("What can I do?", BAD)])
        assert (encoder.trees, encoder.last_layer_only) == (trees, False)

    def test_passes_over_trees_hold_each_once_with_little_padding(self):
        made = [Tree((), [0] * n, [[0] * 10, [0] * 10]) for n in (20, 20, 20, 20, 60, 61, 62, 300)]
        passes = list(_passes(made, 80))
        assert [tree for part in passes for tree in part] == made
        assert [len(part) for part in passes] == [4, 3, 1]
        assert [len(part) for part in _passes(made, 10_000)] == [8]

    @pytest.mark.parametrize("base", ["encoder_folder", "policy_folder"])
    def test_what_is_too_long_loses_the_start_of_its_prompt_and_is_counted(self, base, request):
        encoder = self.encoder(request.getfixturevalue(base), max_length=24)
        end = "what can i do ? " * 4
        items = [("refund " * 40 + end, GOOD), ("today " * 40 + end, GOOD), ("a", GOOD * 20)]
        encoder.prepare(items)
        assert len(encoder.truncated) == 3
        assert [encoder.length(item) for item in items[:2]] == [24, 24]
        with torch.no_grad():
            first, second, _ = encoder.outputs(items).flatten().tolist()
        assert first == pytest.approx(second, abs=1e-5)


def test_texts_that_are_too_long_are_cut_without_a_warning_of_errors_to_come(policy_folder):
    from training.engine.generation.sampling import load_policy

    result = []
    handler = logging.Handler()
    handler.emit = lambda record: result.append(record.getMessage())
    logging.getLogger("transformers").addHandler(handler)
    try:
        long = "refund " * 400
        base_models.small("linear", [("a", long), ("a", "short")], outputs=1, max_length=16)
        assert len(load_policy(str(policy_folder)).prompt_ids(long, 8)) > 8
    finally:
        logging.getLogger("transformers").removeHandler(handler)
    assert [message for message in result if "indexing errors" in message] == []
