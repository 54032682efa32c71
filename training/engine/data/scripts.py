"""The writing system of a text, told by the names that Unicode gives its letters."""

import unicodedata
from collections import Counter

# A text's beginning tells its script.
LETTERS = 400
# Japanese mixes all three; Han alone is mostly Chinese, but nothing here can tell.
KANA = {"HIRAGANA", "KATAKANA"}
NAMES = {"CJK": "Han", "KANA": "Kana (Japanese)"}


def script_of(text: str) -> str:
    """ "Latin", "Han", "Kana (Japanese)", "Cyrillic" … : that of most letters; "" for a text without letters."""
    counts: Counter[str] = Counter()
    for character in text:
        if not character.isalpha():
            continue
        counts[unicodedata.name(character, "UNKNOWN").split()[0].removesuffix("-")] += 1
        if counts.total() == LETTERS:
            break
    kana = sum(counts[name] for name in KANA)
    if kana and kana + counts["CJK"] > counts.total() / 2:
        return NAMES["KANA"]
    if not counts:
        return ""
    script = counts.most_common(1)[0][0]
    return NAMES.get(script, script.capitalize())
