"""Questions about a short text; the text answers some of them and is silent about others."""

import random

from training.demo.prompts import Asked

NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix")
HAVE = ("a cat", "a dog", "a garden", "a piano", "a boat", "a bicycle")
SILENT = "The text does not say."


def ask(rng: random.Random) -> Asked:
    names, things = rng.sample(NAMES, 3), rng.sample(HAVE, 4)
    text = " ".join(f"{name} has {thing}." for name, thing in zip(names, things, strict=False))
    asked_thing = rng.randrange(4)
    right = f"{names[asked_thing]} has {things[asked_thing]}." if asked_thing < 3 else SILENT
    facts = {"right": right, "thing": things[asked_thing], "names": " ".join(names)}
    return Asked(f"{text}\n\nWho has {things[asked_thing]}?", reference=right, facts=facts)


def answer(asked: Asked, rng: random.Random) -> str:
    other = f"{rng.choice(asked.facts['names'].split())} has {asked.facts['thing']}."
    answer = rng.choices((asked.facts["right"], other, SILENT, "I think so."), weights=(58, 22, 14, 6))[0]
    return f"{answer} That is all there is to say about it." if rng.random() < 0.15 else answer
