"""A shop's talk with a customer, and replies that keep to its policy, break it, or do not listen."""

import random

from training.demo.prompts import Asked

ITEMS = ("lamp", "radio", "kettle", "clock", "phone", "chair", "coat", "watch", "tent", "mirror")
PROBLEMS = (
    "My {item} is broken.",
    "The {item} that I got is damaged.",
    "My {item} fell apart.",
    "My {item} has a crack.",
)
RECENT = ("Last week.", "Two days ago.", "On Monday.", "Yesterday.")
OLD = ("Last year.", "Three months ago.", "In spring, I think.", "Half a year ago.")
PLEAS = ("What now?", "I am quite annoyed.", "Can you help me?", "I need it soon.")
POLICY = (
    "- Bought within 30 days: a new one or the money back, as the customer likes.\n"
    "- Bought before that: a free repair, nothing else.\n"
    "- Nobody is asked for what they have said already.\n"
    "- No discounts."
)
POLITE = ("I am sorry about your {item}.", "Thank you for telling us.", "That must be annoying.")
CURT = ("Hello.", "Well.", "So your {item} is broken.")
WITHIN = (
    "We will send you a new {item}, or you get your money back: which do you prefer?",
    "You can have a new {item} or your money back.",
)
BEFORE = ("Our workshop will repair your {item} for free.", "We can repair the {item} for you, free of charge.")
WRONG = (
    "You get ten euros off your next order.",
    "There is nothing we can do.",
    "We will send you two new ones.",
    "It will be fine again by itself.",
)
DEAF = ("When did you buy it?", "Which item do you mean?", "Is something broken?")
CLOSING = ("Is there anything else?", "Have a good day.", "Please write to us again if you have questions.")


def ask(rng: random.Random) -> Asked:
    item, age = rng.choice(ITEMS), rng.choice(("recent", "old"))
    when = rng.choice(RECENT if age == "recent" else OLD)
    turns = (
        f"Customer: {rng.choice(PROBLEMS).format(item=item)}",
        "Assistant: I am sorry to hear that. When did you buy it?",
        f"Customer: {when} {rng.choice(PLEAS)}",
    )
    return Asked("\n\n".join(turns), context=POLICY, facts={"item": item, "age": age})


def answer(asked: Asked, rng: random.Random) -> str:
    fits, breaks = (WITHIN, BEFORE) if asked.facts["age"] == "recent" else (BEFORE, WITHIN)
    parts = [rng.choice(rng.choices((POLITE, CURT), weights=(65, 35))[0])]
    parts.append(rng.choice(rng.choices((fits, breaks, WRONG, DEAF), weights=(50, 20, 18, 12))[0]))
    if rng.random() < 0.4:
        parts.append(rng.choice(CLOSING))
    return " ".join(parts).format(item=asked.facts["item"])
