"""Words of texts in any script: Chinese and Japanese write none apart, so there each character counts as one."""

import re
import unicodedata

FULL_WIDTH_SIGNS = re.compile("[，！？：；（）]")  # which stand for their own space
# Kana, Han in all its blocks, and their own punctuation; what is full-width is made plain before.
ALONE = re.compile(r"[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")


def spaced(text: str) -> str:
    """The text with spaces between its words; full-width letters, digits and signs are the plain ones (NFKC)."""
    return ALONE.sub(r" \g<0> ", unicodedata.normalize("NFKC", FULL_WIDTH_SIGNS.sub(r" \g<0> ", text)))


def words(text: str) -> list[str]:
    """What `spaced` divides; in scripts with spaces simply what stands between them, punctuation included."""
    return spaced(text).split()


def bare_words(text: str) -> list[str]:
    """The words in lower case, without punctuation of any script."""
    plain = "".join("" if _is_punctuation(character) else character for character in spaced(text.lower()))
    return plain.split()


def _is_punctuation(character: str) -> bool:
    """ASCII counts its symbols in, as the measures of question answering do (Rajpurkar et al. 2016)."""
    return unicodedata.category(character).startswith("P") or character in "$+<=>^`|~"
