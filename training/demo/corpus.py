"""The demo's world: customers of a small shop write, an assistant answers well, so-so or badly.

A grammar writes the corpus from which the demo's policy is pretrained, so the demo needs no model hub. The
texts on the raters' screen are never these: they are sampled from the model that was trained on them.
"""

import itertools
import random

ITEMS = (
    "kettle", "lamp", "backpack", "coat", "chair", "camera", "clock", "blender", "teapot", "umbrella", "scarf",
    "radio", "desk", "pillow", "bicycle", "guitar", "toaster", "mirror", "carpet", "printer", "keyboard", "tent",
    "suitcase", "watch",
)  # fmt: skip
PROBLEMS = (
    "My {item} arrived broken.",
    "The {item} I ordered has not come.",
    "I got the wrong {item}.",
    "My new {item} makes a strange noise.",
    "The {item} is too small for me.",
    "I paid twice for my {item}.",
    "A part of my {item} is missing.",
    "My {item} stopped working after two days.",
    "The colour of the {item} is not what I chose.",
    "I do not want the {item} any more.",
)
QUESTIONS = ("What can I do?", "Can you help me?", "What happens now?", "Please tell me what to do.")

WARM = (
    "I am sorry about your {thing}.",
    "I am so sorry to hear this.",
    "Thank you for telling us about your {thing}.",
    "Thank you for writing to us.",
    "I am sorry for the trouble with the {thing}.",
)
PLAIN = ("Hello.", "We got your message about the {thing}.", "This is the shop.", "We have read this.")
RUDE = (
    "That is not our problem.",
    "You should have been more careful.",
    "Nobody else complains about the {thing}.",
    "Stop bothering us.",
)
CONCRETE = (
    "We will send you a new {thing} {when}.",
    "You will get your money back {when}.",
    "Please send us a photo and we will refund you {when}.",
    "Our driver will collect the {thing} {when}.",
    "We will repair your {thing} for free {when}.",
    "Please call us and we will replace it {when}.",
)
WHEN = ("today", "tomorrow", "this week", "within two days", "within three days", "on Monday")
VAGUE = (
    "We will see.",
    "Someone may look at it some day.",
    "There is nothing to say about this.",
    "Maybe it will get better.",
    "Things like this happen with a {thing}.",
)
FILLER = (
    "Our shop has many things and many things are in our shop.",
    "We sell a lot and we are open and we sell a lot.",
    "It is what it is, and that is how it is with every {thing}.",
    "Many people buy a {thing}, and many people do not buy a {thing}.",
)
CLOSING = ("Is there anything else we can do?", "We hope this helps.", "Thank you for your patience.")


def prompts(count: int, seed: int = 0) -> list[str]:
    """`count` different customer messages. Raises ValueError above 960, which is all there are."""
    every = [
        f"{problem.format(item=item)} {question}"
        for item, problem, question in itertools.product(ITEMS, PROBLEMS, QUESTIONS)
    ]
    if count > len(every):
        raise ValueError(f"the demo has {len(every)} prompts, not {count}")
    random.Random(seed).shuffle(every)
    return every[:count]


def documents(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` (prompt, response) documents; the responses are good, middling and bad in equal spirit."""
    rng = random.Random(seed)
    return [_document(rng) for _ in range(count)]


def _document(rng: random.Random) -> tuple[str, str]:
    item = rng.choice(ITEMS)
    prompt = f"{rng.choice(PROBLEMS).format(item=item)} {rng.choice(QUESTIONS)}"
    return prompt, _response(item, rng)


def _response(item: str, rng: random.Random) -> str:
    thing = rng.choices((item, "thing", rng.choice(ITEMS)), weights=(50, 30, 20))[0]
    parts = [rng.choice(rng.choices((WARM, PLAIN, RUDE), weights=(35, 40, 25))[0])]
    if rng.random() < 0.35:
        parts.append(rng.choice(FILLER))
    parts.append(rng.choice(CONCRETE if rng.random() < 0.45 else VAGUE))
    if rng.random() < 0.2:
        parts.append(parts[-1])
    if rng.random() < 0.3:
        parts.append(rng.choice(CLOSING))
    return " ".join(part.format(thing=thing, when=rng.choice(WHEN)) for part in parts)
