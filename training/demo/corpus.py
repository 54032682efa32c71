"""The demo's world: customers of a small shop write, an assistant answers well, so-so or badly.

A grammar writes the corpus from which the demo's policy is pretrained, so the demo needs no model hub. The
texts on the raters' screen are never these: they are sampled from the model that was trained on them.
"""

import itertools
import random
from collections.abc import Iterator

MACHINES = (
    "kettle", "lamp", "camera", "clock", "blender", "radio", "toaster", "printer", "keyboard", "watch", "phone",
    "heater",
)  # fmt: skip
GOODS = (
    "backpack", "coat", "chair", "teapot", "umbrella", "scarf", "desk", "pillow", "mirror", "carpet", "tent",
    "suitcase",
)  # fmt: skip
ITEMS = MACHINES + GOODS

# What a customer may write, and the kinds of step that would help with it.
SHARED_PROBLEMS = {
    "My {item} arrived damaged.": ("replace", "refund", "collect"),
    "The {item} I ordered has not come.": ("deliver", "refund"),
    "I got the wrong {item}.": ("replace", "collect", "refund"),
    "I paid twice for my {item}.": ("refund",),
    "The colour of the {item} is not what I chose.": ("replace", "collect", "refund"),
    "I do not want the {item} any more.": ("collect", "refund"),
    "The {item} looks used, not new.": ("replace", "collect", "refund"),
}
MACHINE_PROBLEMS = SHARED_PROBLEMS | {
    "My new {item} makes a strange noise.": ("repair", "replace", "refund"),
    "My {item} stopped working after two days.": ("repair", "replace", "refund"),
    "My {item} does not turn on.": ("repair", "replace", "refund"),
    "A part of my {item} is missing.": ("part", "replace"),
}
GOODS_PROBLEMS = SHARED_PROBLEMS | {
    "The {item} is too small for me.": ("replace", "collect", "refund"),
    "The {item} has a dark spot on it.": ("replace", "collect", "refund"),
}
QUESTIONS = ("What can I do?", "Can you help me?", "What happens now?", "Please tell me what to do.")

WARM = (
    "I am so sorry about your {thing}.",
    "We are sorry for the trouble with your {thing}.",
    "I am sorry to hear this about your {thing}.",
    "Thank you for telling us about your {thing}.",
    "Thank you for writing to us about the {thing}.",
)
PLAIN = (
    "Hello, this is the shop.",
    "We got your message about the {thing}.",
    "You wrote to us about the {thing}.",
    "This is about your {thing}.",
)
RUDE = (
    "That is not our problem.",
    "You should have been more careful with the {thing}.",
    "Nobody else complains about the {thing}.",
    "Stop bothering us with your {thing}.",
    "It is your own fault.",
)
STEPS = {
    "refund": ("You will get your money back {when}.", "We will refund you for the {thing} {when}."),
    "replace": ("We will send you a new {thing} {when}.", "We will replace your {thing} for free {when}."),
    "repair": ("We will repair your {thing} for free {when}.", "Our workshop can repair the {thing} {when}."),
    "collect": ("Our driver will collect the {thing} {when}.", "You can send the {thing} back for free {when}."),
    "deliver": ("We will bring the {thing} to your door {when}.", "Your {thing} will reach you {when}."),
    "part": ("We will send you the missing part {when}.", "We will post a part for your {thing} {when}."),
}
TIMES = ("today", "tomorrow", "this week", "within two days", "within three days", "on Monday", "on Friday")
VAGUE = (
    "We will see what we can do.",
    "Someone may look at it some day.",
    "Maybe it will get better.",
    "Things like this happen with the {thing}.",
    "You could wait a little.",
)
FILLER = (
    "Our shop has many things and many things are in our shop.",
    "We sell a lot and we are open and we sell a lot.",
    "It is what it is, and that is how it is with the {thing}.",
    "Some people like the {thing}, and some people do not like the {thing}.",
)
CLOSING = (
    "Is there anything else we can do for you?",
    "Which day is best for you?",
    "Thank you for your patience.",
    "We hope this helps.",
)


def prompts(count: int, seed: int = 0) -> list[str]:
    """`count` different customer messages. Raises ValueError above 960, which is all there are."""
    every = [
        f"{problem.format(item=item)} {question}"
        for items, problems in ((MACHINES, MACHINE_PROBLEMS), (GOODS, GOODS_PROBLEMS))
        for item, problem, question in itertools.product(items, problems, QUESTIONS)
    ]
    if count > len(every):
        raise ValueError(f"the demo has {len(every)} prompts, not {count}")
    random.Random(seed).shuffle(every)
    return every[:count]


def documents(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` (prompt, response) documents; the responses are good, middling and bad in equal spirit."""
    rng = random.Random(seed)
    return [_document(rng) for _ in range(count)]


def sentences() -> Iterator[str]:
    """Every sentence that a response can hold, with the word "item" for whatever is named in it."""
    steps = itertools.chain.from_iterable(STEPS.values())
    for template in itertools.chain(WARM, PLAIN, RUDE, steps, VAGUE, FILLER, CLOSING):
        for time in (*TIMES, "") if "{when}" in template else ("",):
            yield _fill(template, "item", time)


def _document(rng: random.Random) -> tuple[str, str]:
    item = rng.choice(ITEMS)
    problems = MACHINE_PROBLEMS if item in MACHINES else GOODS_PROBLEMS
    problem = rng.choice(list(problems))
    return f"{problem.format(item=item)} {rng.choice(QUESTIONS)}", _response(item, problems[problem], rng)


def _response(item: str, fitting: tuple[str, ...], rng: random.Random) -> str:
    """Each part is well or badly done whatever the others are, so every mixture occurs."""
    # One name throughout: a model sees soon that names are copied, rarely that they are chosen afresh.
    thing = rng.choices((item, "order", rng.choice(ITEMS)), weights=(60, 25, 15))[0]
    parts = [rng.choice(rng.choices((WARM, PLAIN, RUDE), weights=(45, 30, 25))[0])]
    if rng.random() < 0.25:
        parts.append(rng.choice(FILLER))
    if rng.random() < 0.65:
        kind = rng.choice(fitting if rng.random() < 0.75 else list(STEPS))
        parts.append(rng.choice(STEPS[kind]))
    else:
        parts.append(rng.choice(VAGUE))
    if rng.random() < 0.12:
        parts.append(parts[-1])
    if rng.random() < 0.35:
        parts.append(rng.choice(CLOSING))
    time = rng.choice(TIMES) if rng.random() < 0.8 else ""
    return " ".join(_fill(part, thing, time) for part in parts)


def _fill(template: str, thing: str, time: str) -> str:
    return template.format(thing=thing, when=time).replace(" .", ".")
