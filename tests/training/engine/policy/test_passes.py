"""One row a prompt gives the numbers of one row a response, on models of several kinds."""

import pytest
import torch

from tests.training.engine.policy.conftest import PROMPTS
from training.engine.generation import decoding
from training.engine.generation.decoding import SamplingParams, decode, prompt_seeds, uniforms
from training.engine.generation.rows import FULL_SPEED_TOKENS, Group, pack_rows, pack_shared_prompts
from training.engine.generation.sampling import load_policy, sample
from training.engine.rl.log_probs import (
    MAX_BYTES,
    MAX_TOKENS,
    MIN_TOKENS,
    LogProbs,
    bytes_per_token,
    max_tokens_per_pass,
    resolve_precision,
)
from training.engine.runtime import onednn


def tiny(kind):
    """A small model of random weights of one of the families whose attention differs."""
    from transformers import AutoConfig, AutoModelForCausalLM

    small = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    settings = {
        "llama": {**small, "intermediate_size": 48, "num_key_value_heads": 2},
        "qwen2": {**small, "intermediate_size": 48, "num_key_value_heads": 2},
        "gemma2": {**small, "intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8},
        "gpt2": {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
        "gpt_neox": {**small, "intermediate_size": 48},
        "opt": {**small, "ffn_dim": 48, "word_embed_proj_dim": 32},
        "bloom": {"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    }[kind]
    torch.manual_seed(0)
    ends = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings, **ends)).eval()


GROUPS = [
    Group([5, 6, 7, 8], [[9, 10, 11], [12, 13, 14, 15, 16], [17]]),
    Group([20, 21], [[22, 23], [24], [25, 26, 27, 28]]),
]


def tables(model, *, shared, head_on_responses):
    logps = LogProbs(model, pad_id=1, temperature=0.7, precision="float32")
    logps.shared, logps.head_on_responses = shared, head_on_responses
    table, entropy = logps.table(GROUPS, 5), torch.zeros(6 * 5)
    for batch in logps.batches(GROUPS, 5):
        values = logps.forward(batch)
        assert torch.allclose(values.log_probs, table.flatten()[batch.index], atol=1e-5)
        entropy[batch.index] = values.entropy.detach()
    return table, entropy


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2", "gpt_neox", "opt", "bloom"])
def test_shared_prompts_and_the_bare_head_change_nothing(kind):
    model = tiny(kind)
    plain, plain_entropy = tables(model, shared=False, head_on_responses=False)
    for shared, head_on_responses in ((True, True), (False, True)):
        log_probs, entropy = tables(model, shared=shared, head_on_responses=head_on_responses)
        assert torch.allclose(log_probs, plain, atol=1e-5), (shared, head_on_responses)
        assert torch.allclose(entropy, plain_entropy, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "kept"), [("llama", (True, True)), ("bloom", (True, True)), ("gemma2", (False, False))]
)
def test_the_check_drops_the_short_cuts_that_a_model_does_not_allow(kind, kept):
    """Gemma 2 bends its logits behind the head; Bloom, which counts positions by itself, allows all."""
    model = tiny(kind)
    if kind == "gemma2":
        model.config.final_logit_softcapping = 0.05
    logps = LogProbs(model, pad_id=1, temperature=1.0, precision="float32")
    logps.select_optimizations(GROUPS[0])
    plain = tables(model, shared=False, head_on_responses=False)[0]
    assert torch.allclose(
        tables(model, shared=logps.shared, head_on_responses=logps.head_on_responses)[0], plain, atol=1e-4
    )
    assert (logps.shared, logps.head_on_responses) == kept


@pytest.mark.parametrize("kind", ["llama", "gpt2", "opt", "bloom"])
def test_what_a_pass_holds_is_about_what_was_reckoned(kind):
    """Saved for the gradient, without what only lives in the pass itself: two of the three tables of the vocabulary."""
    model, kept = tiny(kind), {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (tensor, storage.nbytes())  # the tensor, lest its place be given to another
        return tensor

    logps = LogProbs(model, pad_id=1, temperature=1.0, precision="float32")
    (batch,) = logps.batches([Group([5, 6], [list(range(40))] * 8)], 40)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        values = logps.forward(batch)
    tokens = batch.ids.numel() + sum(suffix.ids.numel() for suffix in batch.suffixes)
    found = sum(size for place, (_, size) in kept.items() if place not in weights) / tokens
    assert values.log_probs.requires_grad
    assert 0.5 < found / (bytes_per_token(model.config) - 4 * 2 * model.config.vocab_size) < 1.5


def test_a_large_model_reads_fewer_tokens_at_once():
    from transformers import LlamaConfig

    small = tiny("llama").config
    middle = LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30)
    large = LlamaConfig(vocab_size=150_000, hidden_size=4096, intermediate_size=12288, num_hidden_layers=36)
    assert [max_tokens_per_pass(config) for config in (small, large)] == [MAX_TOKENS, MIN_TOKENS]
    assert MIN_TOKENS < max_tokens_per_pass(middle) < MAX_TOKENS
    assert max_tokens_per_pass(middle) * bytes_per_token(middle) == pytest.approx(MAX_BYTES, rel=0.01)


@pytest.mark.parametrize("layout", [pack_rows, pack_shared_prompts])
def test_what_is_read_at_once_stays_within_the_budget_and_nothing_is_left_out(layout):
    group = Group(list(range(100)), [[1] * 300] * 9)
    passes = list(layout([group, GROUPS[0]], 300, pad_id=0, budget=2048))
    read = [batch.ids.numel() + sum(suffix.ids.numel() for suffix in batch.suffixes) for batch in passes]
    assert len(read) > 1
    assert max(read) <= 2048 + FULL_SPEED_TOKENS
    places = torch.cat([batch.index for batch in passes]).tolist()
    expected = [*range(9 * 300), *range(2700, 2703), *range(3000, 3005), 3300]
    assert sorted(places) == expected


def test_the_gradient_goes_through_the_shared_prompt():
    model = tiny("llama")
    gradients = []
    for shared in (True, False):
        logps = LogProbs(model, pad_id=1, temperature=1.0, precision="float32")
        logps.shared = shared
        model.zero_grad()
        for batch in logps.batches(GROUPS, 5):
            logps.forward(batch).log_probs.sum().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-5), name


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_decoding_keeps_the_log_probabilities_of_the_training_pass(kind, monkeypatch):
    model, ends = tiny(kind), {1, 2, 3, 4}
    monkeypatch.setattr(decoding, "ROOM", 8)  # so that the cache grows several times, before and after rows have left
    inputs = [[5, 6, 7, 8], [9], [10, 11], [12], [13, 14, 15], [16]]
    params = SamplingParams(40, temperature=0.7)
    drawn = decode(
        model, inputs, per_prompt=2, params=params, end_ids=ends, pad_id=1, draws=uniforms(prompt_seeds("3", 6), 2, 40)
    )
    longest = [max(len(d.tokens) for d in drawn[n : n + 2]) for n in range(0, 12, 2)]
    assert len(set(longest)) > 2  # rows of two samples ended at different places, so some were retired
    logps = LogProbs(model, pad_id=1, temperature=0.7, precision="float32")
    groups = [Group(ids, [d.tokens for d in drawn[2 * n : 2 * n + 2]]) for n, ids in enumerate(inputs)]
    log_probs = logps.table(groups, max(longest))
    for row, d in enumerate(drawn):
        assert log_probs[row, : len(d.tokens)].tolist() == pytest.approx(d.log_probs, abs=1e-4)
        assert not ends & set(d.tokens[:-1])


def test_a_sample_depends_on_its_seed_and_not_on_the_batch():
    model, params = tiny("llama"), SamplingParams(12)
    inputs, seeds = [[5, 6, 7], [8], [5, 6, 7], [9, 10]], [3, 4, 5, 6]

    def tokens(places):
        drawn = decode(
            model, [inputs[n] for n in places], per_prompt=2, params=params, end_ids={1}, pad_id=1,
            draws=uniforms([seeds[n] for n in places], 2, 12),
        )  # fmt: skip
        return [one.tokens for one in drawn]

    together = tokens([0, 1, 2, 3])
    assert [row for n in range(4) for row in tokens([n])] == together
    assert len(set(together)) == 8  # the prompt that comes twice, and both samples of each, differ


def test_greedy_decoding_is_that_of_transformers(policy_folder):
    policy = load_policy(str(policy_folder))
    for prompt in PROMPTS:
        ids = policy.prompt_ids(prompt, 20)
        _, drawn = sample(policy, [ids], 1, SamplingParams(20, 0.0), seeds=[0])
        expected = policy.model.generate(torch.tensor([ids]), max_new_tokens=20, do_sample=False)[0, len(ids) :]
        assert list(drawn[0].tokens) == expected.tolist()


def test_top_k_top_p_and_banned_tokens_choose_among_tokens():
    model = tiny("llama")
    with torch.no_grad():
        order = model(torch.tensor([[5, 6]])).logits[0, -1].argsort(descending=True).tolist()

    def first(**how):
        draws = uniforms([0], 200, 1)
        drawn = decode(
            model, [[5, 6]], per_prompt=200, params=SamplingParams(1, **how), end_ids={1}, pad_id=1, draws=draws
        )
        return {d.tokens[0] for d in drawn}

    assert first(top_k=2) == set(order[:2])
    assert first(top_p=1e-6) == {order[0]}
    assert order[0] not in first(banned=(order[0],))
    assert len(first()) > 20


def test_sampling_follows_the_distribution():
    model = tiny("llama")
    with torch.no_grad():
        expected = (model(torch.tensor([[5, 6]])).logits[0, -1] / 0.5).softmax(0)
    draws = uniforms([0], 20_000, 1)
    drawn = decode(
        model, [[5, 6]], per_prompt=20_000, params=SamplingParams(1, 0.5), end_ids={1}, pad_id=1, draws=draws
    )
    counts = torch.bincount(torch.tensor([d.tokens[0] for d in drawn]), minlength=64) / 20_000
    assert (counts - expected).abs().max() < 5 * math_error(expected)


def math_error(probabilities):
    return (probabilities * (1 - probabilities) / 20_000).sqrt().max()


def test_bfloat16_is_for_wide_models_by_hastened_layers_from_a_smaller_width_on(monkeypatch):
    from transformers import LlamaConfig, LlamaForCausalLM

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(onednn, "is_faster", lambda: True)
    chosen = {}
    for width in (128, 256, 512):
        model = LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=width, intermediate_size=8, num_hidden_layers=1))
        plain = resolve_precision("auto", model)
        chosen[width] = plain, resolve_precision("auto", onednn.with_onednn(model))
    assert chosen == {
        128: ("float32", "float32"), 256: ("float32", "bfloat16"), 512: ("bfloat16", "bfloat16"),
    }  # fmt: skip


def test_a_gradient_pass_in_bfloat16_tells_the_gradient_of_float32(monkeypatch):
    monkeypatch.setattr(onednn, "is_faster", lambda: True)
    gradients = []
    for precision in ("float32", "bfloat16"):
        model = onednn.with_onednn(tiny("llama"))
        logps = LogProbs(model, pad_id=1, temperature=1.0, precision=precision)
        for batch in logps.batches(GROUPS, 5):
            logps.forward(batch).log_probs.sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    difference = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert 0 < difference < 2e-2
