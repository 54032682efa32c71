"""Whether the sizes in a model's config.json can be those of its weights: one that is built from absurd numbers, even
without memory for its weights, never ends."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

# Far above what any model has: 126 layers, 384 experts in each of 61, 10 million positions, 300,000 tokens.
MAX_LAYERS, MAX_MODULES, MAX_COUNT, MAX_SIZE, MAX_NUMBER = 1_000, 600_000, 1_000_000, 2**24, 2**40
MAX_PARAMETERS = 10**13
LAYERS = re.compile(r"(^|_)(layers?|blocks?|groups|depths?|copies|stages)$")
COUNTS = re.compile(r"^(num|n)_|(^|_)(heads?|experts?|labels)$")
SIZES = re.compile(r"(^|_)(size|dim|width|embd|model|inner)$|^(ffn|d)_")
POSITIONS = re.compile(r"position|ctx|tokens?$|length|_id$|window")
# A weight has half a byte at least. Layers may share weights, and the estimate of their number is a rough one.
SHARED, UNCOUNTED = 200, 10**8


def absurd(config: Mapping[str, Any], folder: Path | None = None) -> str:
    """What is wrong with the numbers of a config; nothing where nothing is. folder: where the weights are."""
    for name, value in _numbers(config):
        most = _most(name)
        if not -1 - MAX_NUMBER <= value <= most:
            return _("config.json gives %(name)s as %(value)s; at most %(most)d is taken") % {
                "name": name, "value": str(value)[:20], "most": most,
            }  # fmt: skip
    layers, experts, parameters = _estimate(config)
    if layers * experts > MAX_MODULES:
        message = _("config.json describes too many experts, %(n)d; at most %(most)d are taken")
        return message % {"n": layers * experts, "most": MAX_MODULES}
    weights = sum(file.stat().st_size for file in folder.rglob("*.safetensors")) if folder else 0
    most = min(MAX_PARAMETERS, SHARED * weights + UNCOUNTED) if weights else MAX_PARAMETERS
    if parameters > most:
        message = _("config.json describes about %(n).0g parameters, more than its weights can be")
        return message % {"n": parameters}
    return ""


def _most(name: str) -> int:
    if LAYERS.search(name):
        return MAX_LAYERS
    if POSITIONS.search(name):
        return MAX_NUMBER
    if SIZES.search(name):
        return MAX_SIZE
    return MAX_COUNT if COUNTS.search(name) else MAX_NUMBER


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a config with the name of its field, those of parts included."""
    waiting = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(name, inner) for inner in value]
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) != float("inf"):
            yield name, value


def _estimate(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Layers, experts of a layer, and about how many parameters: the matrices of attention and of the hidden layers,
    and a vector for each token and position."""
    largest_values: dict[str, float] = {}
    for name, value in _numbers(config):
        largest_values[name] = max(value, largest_values.get(name, 0))

    def largest(pattern: str, default: int) -> int:
        return int(max((value for name, value in largest_values.items() if re.search(pattern, name)), default=default))

    layers = largest(LAYERS.pattern, 1)
    experts = max(1, largest(r"experts?$", 1))
    width = largest(r"^(hidden_size|n_embd|d_model|dim|width|embed_dim|hidden_dim)$", 1)
    inner = largest(r"^(intermediate_size|n_inner|d_ff|ffn_dim|encoder_ffn_dim|decoder_ffn_dim|hidden_dim)$", 4 * width)
    tokens = largest(r"^(vocab_size|n_vocab)$", 1)
    return layers, experts, layers * (width * width + width * inner) + tokens * width
