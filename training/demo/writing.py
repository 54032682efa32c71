"""Notes to the visitors of a town's houses; some get a fact wrong, leave one out, or have no manners."""

import random

from training.demo.prompts import Asked

PLACES = ("library", "museum", "swimming pool", "town hall", "market hall", "zoo", "theatre", "sports hall")
TIMES = ("eight", "nine", "ten", "eleven", "noon")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EXTRAS = (
    "children get in free",
    "the lift is out of order",
    "the café is new",
    "dogs have to stay outside",
    "the garden is open again",
    "the entrance is in Park Street",
)
FRIENDLY = ("Dear visitors,", "Dear friends of the {place},", "Good news from the {place}:")
PLAIN = ("To all visitors:", "Note of the {place}:", "For your information:")
RUDE = ("Read this before you ask again:", "As we have said a hundred times:")
OPENS = ("the {place} opens at {time}.", "you can come in from {time} on.", "our doors open at {time}.")
CLOSED = ("It is closed on {day}.", "On {day} we are closed.", "Do not come on {day}: we are closed.")
EXTRA = ("And {extra}.", "Please note that {extra}.", "What is more, {extra}.")
CLOSING = ("We look forward to seeing you.", "See you soon!", "Your {place}")
EMPTY = ("The {place} is a place where many things take place.", "There is much to say about it.")


def ask(rng: random.Random) -> Asked:
    facts = {
        "place": rng.choice(PLACES),
        "time": rng.choice(TIMES),
        "day": rng.choice(DAYS),
        "extra": rng.choice(EXTRAS),
    }
    text = "Write a note to the visitors of the {place}. It opens at {time} and is closed on {day}; {extra}."
    context = "- The {place} opens at **{time}**.\n- It is closed on **{day}**.\n- Also: {extra}."
    return Asked(text.format(**facts), context=context.format(**facts), facts=facts)


def answer(asked: Asked, rng: random.Random) -> str:
    values = {"time": TIMES, "day": DAYS, "extra": EXTRAS}
    claims = dict(asked.facts)
    for name, others in values.items():
        if rng.random() < 0.15:
            claims[name] = rng.choice(others)
    parts = [rng.choice(rng.choices((FRIENDLY, PLAIN, RUDE), weights=(55, 30, 15))[0])]
    parts += [rng.choice(form) for form in (OPENS, CLOSED, EXTRA) if rng.random() < 0.85]
    if rng.random() < 0.2:
        parts.append(rng.choice(EMPTY))
    if rng.random() < 0.6:
        parts.append(rng.choice(CLOSING))
    return " ".join(parts).format(**claims)
