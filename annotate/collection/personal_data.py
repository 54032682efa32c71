"""Personal data in texts: e-mail addresses, telephone and account numbers, numbers of cards and of social security.

A help for reviewers, not a proof: names and addresses of streets are not looked for, and numbers may be something else.
"""

import re
import unicodedata

EMAIL = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+\b")
# What may not stand next to a number; Chinese characters may, since nothing divides them from it.
BEFORE, AFTER = r"(?<![A-Za-z0-9_.,-])", r"(?![A-Za-z0-9_-])"
# An international prefix, or a local number in groups; dates, years and prices have other shapes.
PHONE = re.compile(
    BEFORE + r"(?:\+\d{1,3}[\s./-]?(?:\(\d{1,4}\)[\s./-]?)?|\(?0\d{1,4}\)?[\s./-])(?:\d[\s./-]?){6,11}\d" + AFTER
)
NORTH_AMERICAN = re.compile(r"(?<![A-Za-z0-9_.-])(?:\(\d{3}\)\s?|\d{3}[-.\s])\d{3}[-.\s]\d{4}" + AFTER)
CHINESE_MOBILE = re.compile(BEFORE + r"1[3-9]\d[ -]?\d{4}[ -]?\d{4}" + AFTER)
SOCIAL_SECURITY = re.compile(r"(?<![A-Za-z0-9_-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}" + AFTER)
CHINESE_RESIDENT = re.compile(r"(?<![A-Za-z0-9_])\d{17}[\dXx](?![A-Za-z0-9_])")
IBAN = re.compile(r"(?<![A-Za-z0-9_])[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,3})?(?![A-Za-z0-9_])")
CARD = re.compile(r"(?<![A-Za-z0-9_.+-])\d(?:[ -]?\d){12,18}" + AFTER)


# Normalising takes the square of a text's length where marks pile up, so that it is done a piece at a time.
PIECE = 1000


def kinds_of_personal_data(text: str) -> list[str]:
    """What kinds of personal data the text seems to hold, in a fixed order; full-width digits are digits."""
    pieces = (text[start : start + PIECE] for start in range(0, len(text), PIECE))
    text = "".join(unicodedata.normalize("NFKC", piece) for piece in pieces)
    found = []
    if "@" in text and EMAIL.search(text):
        found.append("e-mail")
    if any(_valid_card(match[0]) for match in CARD.finditer(text)):
        found.append("card number")
    if any(_valid_iban(match[0]) for match in IBAN.finditer(text)):
        found.append("account number")
    if SOCIAL_SECURITY.search(text) or any(_valid_resident(match[0]) for match in CHINESE_RESIDENT.finditer(text)):
        found.append("ID number")
    # What has the shape of an account or card number, valid or not, holds no telephone number.
    text = IBAN.sub(" ", CARD.sub(" ", text))
    if any(shape.search(text) for shape in (PHONE, NORTH_AMERICAN, CHINESE_MOBILE)):
        found.append("telephone")
    return found


def _valid_card(text: str) -> bool:
    """The check digit of Luhn (ISO/IEC 7812)."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [d if place % 2 == 0 else sum(divmod(2 * d, 10)) for place, d in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(doubled) % 10 == 0


def _valid_iban(text: str) -> bool:
    """The check digits modulo 97 (ISO 13616)."""
    plain = re.sub(r"\s", "", text)
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _valid_resident(text: str) -> bool:
    """The check character of a Chinese resident's number (ISO 7064 MOD 11-2, as GB 11643 has it)."""
    weighed = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(text[:17]))
    return "10X98765432"[weighed % 11] == text[17].upper()
