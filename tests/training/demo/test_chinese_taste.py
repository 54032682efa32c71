"""What simulated raters prefer in the Chinese demos."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.demo import cases, corpus, raters
from training.demo.chinese_taste import quality

BOUGHT = "客户：台灯坏了。\n\n客服：很抱歉。请问您是什么时候买的？\n\n客户：{when}我急着用。"
NOTE = "请给图书馆的来宾写一则通知：九点开门，周一闭馆，儿童免费。"
WHO_HAS = "小安有一只猫。小博有一条狗。小晨有一架钢琴。\n\n谁有{thing}？"
SOURCE = "The train arrives in Beijing today, because it is raining."
LADDERS = {
    BOUGHT.format(when="昨天。"): (
        "很抱歉您的台灯出了问题。可以换一个新的台灯，也可以退款，您想要哪一种？",
        "你好。我们给您换新的台灯或者退款。",
        "你好。我们免费维修您的台灯。",
        "你好。没有办法。您说的是哪一件？",
    ),
    BOUGHT.format(when="去年。"): (
        "谢谢您告诉我们。您的台灯可以免费送修。",
        "谢谢您告诉我们。我们给您换新的台灯或者退款。",
    ),
    NOTE: (
        "各位来宾：图书馆九点开门。周一闭馆。另外，儿童免费。欢迎再来！",
        "各位来宾：图书馆九点开门。周一闭馆。欢迎再来！",
        "各位来宾：图书馆九点开门。周四闭馆。欢迎再来！",
        "别再来问了：剧院十点开门。周四闭馆。",
    ),
    SOURCE: (
        "火车今天到北京，因为下雨。",
        "火车到达在北京今天，因为下雨。",
        "火车到达在城里今天，因为下雨。",
        "医生晚上到城里，和往常一样。",
    ),
    WHO_HAS.format(thing="一条狗"): (
        "小博有一条狗。",
        "小博有一条狗。关于这件事就是这些。",
        "文中没有说。",
        "大概是吧。",
        "小安有一条狗。",
    ),
    WHO_HAS.format(thing="一条船"): ("文中没有说。", "大概是吧。", "小安有一条船。"),
    "说实话，早餐是凉的，而且房间太吵。": ("负面", "褒贬兼有", "正面"),
}


@pytest.mark.parametrize("prompt", LADDERS)
def test_each_virtue_counts(prompt):
    worth = [quality(prompt, text) for text in LADDERS[prompt]]
    assert worth == sorted(worth, reverse=True)
    assert len(set(worth)) == len(worth)
    assert worth[0] == pytest.approx(1.0)


def test_repetition_and_word_salad_do_not_pay():
    prompt, best = NOTE, LADDERS[NOTE][0]
    assert quality(prompt, best * 3) < 0.5
    assert quality(prompt, "图书馆周一九点儿童来宾免费开门欢迎") < 0.3
    assert quality(prompt, "") == 0


@pytest.mark.parametrize("key", cases.CHINESE)
def test_every_prompt_of_a_demo_is_known_and_answered_well_and_badly(key):
    worth = [quality(prompt, response) for prompt, response in cases.documents(f"{key}-zh", 500)]
    assert min(worth) < 0.3
    assert max(worth) > 0.9


def test_other_prompts_are_left_to_the_rules_of_the_shop():
    known = [*corpus.prompts(50), *(asked.text for key in cases.CASES for asked in cases.prompts(key, 20))]
    assert {quality(prompt, "您的台灯可以免费送修。") for prompt in known} == {None}


@given(st.sampled_from(list(LADDERS)), st.text(max_size=80))
def test_any_response_has_a_quality(prompt, response):
    assert 0 <= raters.quality(prompt, response) <= 1


@pytest.mark.parametrize("key", cases.CHINESE)
def test_raters_agree_on_which_of_two_is_better(key):
    one, other = (rater for rater in raters.crowd(2, seed=3))
    grammar, rng = cases.CHINESE[key], random.Random(0)
    alike = clear = 0
    for asked in cases.prompts(f"{key}-zh", 150):
        texts = [grammar.answer(asked, rng) for _ in range(2)]
        ranks = [rater.rank(asked.text, texts, rng) for rater in (one, other)]
        if [1, 1] not in ranks:
            clear += 1
            alike += ranks[0] == ranks[1]
    assert clear > 40
    assert alike / clear > 0.75
