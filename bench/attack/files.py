"""."""

from attack.instance import Attack

ATTACKS: list[Attack] = []
