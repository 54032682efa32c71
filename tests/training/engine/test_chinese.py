"""Chinese, mixed scripts and full-width forms: words, segments, measures, and a writer from nothing."""

import itertools

import pytest

from training.engine.active_learning import selection
from training.engine.data.documents import Document
from training.engine.data.packing import segments_of
from training.engine.data.words import bare_words, words
from training.engine.generation.sampling import generate, load_policy
from training.engine.pretraining.training import PretrainConfig, pretrain, vocabulary_for
from training.engine.rl.evaluator import distinct, self_bleu
from training.engine.rl.rewards import Completions, RewardConfig, RewardSum


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("房间很大", list("房间很大")),
        ("GPT模型很好", ["GPT", *"模型很好"]),
        ("ＧＰＴ－４、好", ["GPT-4", "、", "好"]),
        ("買った", list("買った")),
        ("한국어 좋다", ["한국어", "좋다"]),
        ("It's fine, really.", ["It's", "fine,", "really."]),
        ("", []),
    ],
)
def test_characters_are_words_where_no_spaces_stand_between_them(text, expected):
    assert words(text) == expected


def test_bare_words_have_no_punctuation_of_any_script():
    assert bare_words("“很好！”（Ｇｏｏｄ，３０％）。") == ["很", "好", "good", "30"]


def test_sentences_end_without_a_space_and_take_their_closing_quote_along():
    text = "他说：“很好。”我不信！真的？？好…\n3.5折。OK. Yes"
    assert segments_of(text) == ("他说：“很好。”", "我不信！", "真的？？", "好…\n", "3.5折。", "OK. ", "Yes")
    assert "".join(segments_of("。。」好。 又。")) == "。。」好。 又。"


def test_variety_is_told_by_characters():
    assert distinct(["很好很好"], 2) == pytest.approx(2 / 3)
    assert distinct(["很好", "不错"], 2) == 1
    assert self_bleu(["房间很大很好"] * 3) == pytest.approx(1)
    assert self_bleu(["房间很大很好", "服务员态度差", "早餐非常丰盛"]) < 0.1


def test_reference_terms_handle_chinese_and_full_width_characters():
    completions = Completions(
        ["问"] * 3, ["答案是３０元。", "30元", "正面，很好"], ["30元", "３０ 元。", "正面"], [1] * 3, [0.0] * 3
    )

    def rewards_of(term):
        return RewardSum.load(RewardConfig(terms=((term, 1.0),)))(completions)[0].tolist()

    assert rewards_of("exact_match") == [0, 1, 0]
    # Of 答 案 是 30 元 two words are right: precision 2/5, recall 1.
    assert rewards_of("f1")[0] == pytest.approx(4 / 7)
    assert rewards_of("accuracy") == [0, 1, 1]
    assert rewards_of("bleu")[1] > rewards_of("bleu")[0] > 0


def test_full_width_twins_are_alike():
    assert selection.alike("ＯＫ，很好！") == selection.alike("ok 很好") != selection.alike("ok 不好")


def test_the_vocabulary_follows_the_script_of_the_corpus():
    assert vocabulary_for(["房间很大。", "ok"]) == 1024  # half is not most
    assert vocabulary_for(["房间很大。", "买的iPad很好用", "ok"]) == 4096
    assert vocabulary_for(["買いました"]) == 4096
    assert vocabulary_for(["The room is large."]) == 1024


def test_a_writer_from_nothing_writes_chinese_and_no_half_characters(tmp_path):
    pairs = itertools.product(("房间", "早餐", "服务", "位置"), ("很好", "太差"), ("会再来", "不推荐"))
    reviews = [f"{what}{how}，{again}！" for what, how, again in pairs]
    corpus = [Document(text[:2], (text[2:],)) for text in reviews * 20]
    config = PretrainConfig(width=48, layers=1, heads=2, context=32, batch_size=16, max_steps=60, learning_rate=1e-2)
    metrics = pretrain(corpus, output=tmp_path, config=config)
    assert metrics["perplexity"] < metrics["perplexity_before"] / 10
    policy = load_policy(str(tmp_path))
    assert policy.tokenizer.decode(policy.tokenizer("房间ＡＢＣ①")["input_ids"]) == "房间ＡＢＣ①"
    written = {c.text for c in generate(policy, ["房间"], per_prompt=8, max_completion_length=12)[0]}
    assert written & {text[2:] for text in reviews}
    # Each character that the corpus lacks is three tokens of bytes: a text that is cut within one ends before it.
    ids = policy.tokenizer("好喵")["input_ids"]
    assert policy.text(ids[:-1]) == "好"
    assert policy.text([*ids[:-1], policy.tokenizer.eos_token_id]) == "好\ufffd"
