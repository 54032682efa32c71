"""Reviews of a small hotel, and a classifier that is often right: the answer is a label of the study template."""

import random

from training.demo.prompts import Asked

GOOD = (
    "the bed was soft", "the breakfast was lovely", "the people were kind", "the view was a dream",
    "the room was quiet", "the soup was the best in town", "we were given a better room for free",
)  # fmt: skip
BAD = (
    "the bed was hard", "the breakfast was cold", "the people were rude", "the view was a wall",
    "the room was loud", "the soup tasted of soap", "we had to wait for two hours",
)  # fmt: skip
STARTS = ("I have to say that", "In short:", "This time", "As for our stay:", "In May")
LABELS = ("positive", "negative", "mixed")


def ask(rng: random.Random) -> Asked:
    label = rng.choice(LABELS)
    first, second = {"positive": (GOOD, GOOD), "negative": (BAD, BAD), "mixed": rng.choice(((GOOD, BAD), (BAD, GOOD)))}[
        label
    ]
    one, other = rng.choice(first), rng.choice(second)
    while other == one:
        other = rng.choice(second)
    text = f"{rng.choice(STARTS)} {one}, {'but' if first is not second else 'and'} {other}."
    return Asked(text, reference=label, facts={"label": label})


def answer(asked: Asked, rng: random.Random) -> str:
    return asked.facts["label"] if rng.random() < 0.65 else rng.choice(LABELS)
