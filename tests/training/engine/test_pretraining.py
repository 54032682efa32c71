"""Objectives of pretraining by hand and at their limits; rows of tokens; and each objective on a tiny corpus."""

import itertools
import math

import pytest
import torch

from tests.training.engine.conftest import BAD, GOOD
from training.engine.data.documents import Document
from training.engine.data.formatting import policy_prompt
from training.engine.data.packing import Packer, batches, segments_of, stacked
from training.engine.generation.sampling import generate, load_policy
from training.engine.models.reward import PreferenceModel
from training.engine.pretraining import objectives
from training.engine.pretraining.training import PretrainConfig, pretrain, scored

SMALL = {"vocab_size": 300, "width": 48, "layers": 1, "heads": 2, "context": 32, "batch_size": 8, "learning_rate": 5e-3}


@pytest.mark.parametrize("kind", ["plain", "vae"])
def test_a_training_that_diverges_names_the_step_and_saves_nothing(tmp_path, kind):
    config = PretrainConfig(**{**SMALL, "learning_rate": 1e30}, policy_kind=kind, max_steps=9)
    documents = [Document(f"{n} What can I do?", (GOOD,)) for n in range(200)]
    with pytest.raises(ValueError, match=r"step \d: the (loss|gradient) is not finite .*smaller learning rate"):
        pretrain(documents, output=tmp_path / "model", config=config)
    assert not (tmp_path / "model").exists()


class TestObjectives:
    def test_token_losses_are_those_of_transformers(self):
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=20, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
        )
        model, ids = LlamaForCausalLM(config), torch.randint(20, (3, 9))
        out = model(input_ids=ids, labels=ids)
        assert objectives.token_losses(out.logits, ids).mean().item() == pytest.approx(out.loss.item(), rel=1e-5)

    def test_unlikelihood_by_hand(self):
        losses = -torch.tensor([[0.25, 0.8]]).log()
        value = objectives.unlikelihood(losses, torch.tensor([[True, False]]), 0.5).item()
        assert value == pytest.approx((-math.log(0.25) - 0.5 * math.log(0.2)) / 2)
        certain = objectives.unlikelihood(torch.zeros(1, 1), torch.tensor([[False]]), 1.0)
        assert math.isfinite(certain.item())

    def test_reward_weighted_by_hand_and_at_its_limits(self):
        losses, scores = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, math.log(3.0)]])
        assert objectives.reward_weighted(losses, scores, 1.0).item() == pytest.approx(1 * 0.25 + 3 * 0.75)
        assert objectives.reward_weighted(losses, scores, 1e6).item() == pytest.approx(2.0, abs=1e-4)
        assert objectives.reward_weighted(losses, scores, 1e-3).item() == pytest.approx(3.0, abs=1e-4)

    def test_advantage_weighted_by_hand(self):
        losses, scores = torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 0.0]])
        values = torch.tensor([[0.0, 0.0]], requires_grad=True)
        loss = objectives.advantage_weighted(losses, scores, values, 1.0, 0.5)
        assert loss.item() == pytest.approx((2 * math.e + 2) / 2 + 0.5 * 0.5)
        loss.backward()
        assert values.grad.tolist() == [[-0.5, 0.0]]  # of the value's own error alone

    def test_joint_by_hand(self):
        losses = torch.tensor([[1.0, 3.0]])
        value = objectives.joint(losses, torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.5]), torch.tensor(10.0), 0.1)
        assert value.item() == pytest.approx(2 + (1 + 0.25) / 2 + 1)
        nothing = torch.zeros(0)
        assert objectives.joint(losses, nothing, nothing, torch.tensor(0.0), 0.1).item() == 2


class TestPacking:
    def test_segments_join_to_the_text(self):
        text = "One.  Two? Three!\nFour 3.5 kg\n\nfive"
        assert "".join(segments_of(text)) == text
        assert len(segments_of(text)) >= 4

    def test_each_token_carries_the_score_of_its_segment(self, policy_folder):
        tokenizer = load_policy(str(policy_folder)).tokenizer
        documents = [Document("Hello", ("Good. ", "Bad."), (2.0, -1.0)), Document("", ("x y z",), (5.0,))] * 3
        rows = list(Packer(tokenizer, 8).rows(documents))
        ids, scores, ends, of_documents = (list(itertools.chain(*column)) for column in zip(*rows, strict=True))
        assert len(ids) % 8 == 0
        place = ids.index(tokenizer.eos_token_id)
        assert tokenizer.decode(ids[:place]) == policy_prompt(tokenizer, "Hello") + "Good. Bad."
        assert (ends[place], of_documents[place], scores[place]) == (1.0, 0.5, -1.0)
        good = tokenizer("Good. ", add_special_tokens=False)["input_ids"]
        head = tokenizer(policy_prompt(tokenizer, "Hello"), add_special_tokens=False)["input_ids"]
        assert scores[: len(head)] == [0.5] * len(head)
        assert scores[len(head) : len(head) + len(good)] == [2.0] * len(good)

    def test_scores_and_marks_leave_the_tokens_of_the_text_as_they_are(self, policy_folder):
        """Cut into segments first, a space behind a sentence would be a token that no other text has."""
        tokenizer = load_policy(str(policy_folder)).tokenizer
        tokenizer.add_special_tokens({"additional_special_tokens": ["<+>", "<->"]})
        text = "My lamp is broken. We will\n refund you! 退款。好的。 Bye\n\n"
        segments = segments_of(text)
        scores = tuple(float(n % 2) for n in range(len(segments)))

        def packed(document, mark=None):
            packer = Packer(tokenizer, 1, mark)
            return [ids[0] for ids, *_ in packer.rows([document])]

        plain = packed(Document("Hello", (text,)))
        assert packed(Document("Hello", segments, scores)) == plain
        marked = packed(Document("Hello", segments, scores), lambda score: "<+>" if score else "<->")
        marks = dict(zip(tokenizer.convert_tokens_to_ids(["<+>", "<->"]), ("<+>", "<->"), strict=True))
        assert [token for token in marked if token not in marks] == plain
        result = tokenizer.decode(marked[:-1], skip_special_tokens=False)
        assert result.startswith(policy_prompt(tokenizer, "Hello") + "<->My lamp is broken.")
        assert [marks[token] for token in marked if token in marks] == (["<->", "<+>"] * len(segments))[: len(segments)]
        # A space that is part of the next sentence's first token stands behind the mark.
        assert "broken.<+> We" in result or "broken. <+>We" in result
        assert "。<" in result

    def test_a_corpus_larger_than_the_buffer_is_streamed_and_each_row_comes_once_a_reading(self):
        read = []

        def rows():
            for n in range(100):
                read.append(n)
                yield [n], [0.0], [0.0], [0.0]

        stream = batches(rows, 5, seed=0, stack=stacked, buffer=10)
        first = next(stream).ids.flatten().tolist()
        assert len(read) <= 16
        everything = first + [n for _ in range(19) for n in next(stream).ids.flatten().tolist()]
        assert sorted(everything) == list(range(100))
        assert everything != list(range(100))
        again = batches(rows, 5, seed=0, stack=stacked, buffer=10)
        assert next(again).ids.flatten().tolist() == first

    def test_a_corpus_without_a_full_row_is_an_error(self):
        with pytest.raises(ValueError, match="too small"):
            next(batches(lambda: iter(()), 2, seed=0, stack=stacked))


def judged(count=400):
    """Half kind and half rude documents, scored by what they are."""
    return [
        Document(f"{n % 10}?", (f"{text} ", "Yes."), (value, 0.1 * (n % 3)))
        for n in range(count)
        for text, value in [(GOOD, 1.0) if n % 2 else (BAD, -1.0)]
    ]


def kindness(folder):
    """How many of 200 samples are kind rather than rude."""
    policy = load_policy(str(folder))
    texts = [c.text for c in generate(policy, ["3?"], per_prompt=200, max_completion_length=12, seed=1)[0]]
    return sum("refund" in text for text in texts) - sum("problem" in text for text in texts)


def test_objectives_by_preference_write_kinder_text_than_plain_learning(tmp_path):
    kind = {}
    for objective in ("mle", "conditional", "filter", "unlikelihood", "rwr", "awr"):
        config = PretrainConfig(objective=objective, max_steps=60, beta=0.25, **SMALL)
        metrics = pretrain(judged(), output=tmp_path / objective, config=config)
        assert math.isfinite(metrics["perplexity"])
        kind[objective] = kindness(tmp_path / objective)
    assert abs(kind["mle"]) < 125
    assert all(kind[objective] > kind["mle"] for objective in kind if objective != "mle"), kind


def test_joint_saves_a_policy_and_a_preference_model_of_one_backbone(tmp_path):
    pretrain(judged(), output=tmp_path / "m", config=PretrainConfig(objective="joint", max_steps=80, **SMALL))
    model = PreferenceModel.load(tmp_path / "m" / "preference")
    liked, disliked = model.score([("3?", f"{GOOD} Yes."), ("3?", f"{BAD} Yes.")])
    assert liked > disliked + 0.3
    assert load_policy(str(tmp_path / "m")).model.num_parameters() > 0


def test_documents_are_scored_by_segments():
    documents = scored(
        [Document("p", ("One. Two two.",)), Document("", ("",))], lambda items: [len(t) for _, t in items]
    )
    assert documents[0].segments == ("One. ", "Two two.")
    assert documents[0].scores == (5, 8)
    assert documents[1].scores == (0,)


def test_what_cannot_be_learned_from_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="needs scores that differ"):
        pretrain([Document("", ("a b c",))] * 99, output=tmp_path, config=PretrainConfig(objective="rwr"))
    with pytest.raises(ValueError, match="objective must be one of"):
        pretrain([], output=tmp_path, config=PretrainConfig(objective="magic"))
    with pytest.raises(ValueError, match="too small"):
        pretrain([Document("", ("a",))] * 3, output=tmp_path, config=PretrainConfig(**SMALL))
