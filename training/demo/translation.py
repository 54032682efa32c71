"""German sentences and English ones for them; some say something else, or not as anybody would say it."""

import random

from training.demo.prompts import Asked

WHO = {
    "Der Zug": "The train",
    "Der Bus": "The bus",
    "Die Ärztin": "The doctor",
    "Das Paket": "The parcel",
    "Meine Schwester": "My sister",
    "Unser Nachbar": "Our neighbour",
    "Die Lehrerin": "The teacher",
    "Das Schiff": "The ship",
}
WHEN = {
    "heute": "today",
    "morgen": "tomorrow",
    "am Montag": "on Monday",
    "am Abend": "in the evening",
    "nach dem Essen": "after lunch",
}
WHERE = {
    "in Freiburg": "in Freiburg",
    "am Bahnhof": "at the station",
    "in der Stadt": "in town",
    "am Hafen": "at the harbour",
    "vor dem Haus": "in front of the house",
}
WHY = {
    "weil es regnet": "because it is raining",
    "obwohl es schneit": "although it is snowing",
    "wie immer": "as always",
    "leider zu spät": "unfortunately too late",
    "zum ersten Mal": "for the first time",
}
WORD_BY_WORD = {
    "because it is raining": "because it rains on",
    "although it is snowing": "although it snow",
    "as always": "how always",
    "unfortunately too late": "sadly to late",
    "for the first time": "to the first time",
}
RIGHT = "{who} arrives {where} {when}, {why}."
CLUMSY = "{who} comes {when} {where} on, {why}."


def ask(rng: random.Random) -> Asked:
    who, when, where, why = (rng.choice(list(part)) for part in (WHO, WHEN, WHERE, WHY))
    facts = {"who": WHO[who], "when": WHEN[when], "where": WHERE[where], "why": WHY[why]}
    return Asked(f"{who} kommt {when} {where} an, {why}.", reference=RIGHT.format(**facts), facts=facts)


def answer(asked: Asked, rng: random.Random) -> str:
    claims = dict(asked.facts)
    for name, others in (("who", WHO), ("when", WHEN), ("where", WHERE), ("why", WHY)):
        if rng.random() < 0.12:
            claims[name] = rng.choice(list(others.values()))
    if rng.random() < 0.15:
        claims[rng.choice(("when", "where"))] = ""
    if rng.random() < 0.2:
        claims["why"] = WORD_BY_WORD[claims["why"]]
    text = CLUMSY if rng.random() < 0.2 else RIGHT
    return " ".join(text.format(**claims).split()).replace(" ,", ",")
