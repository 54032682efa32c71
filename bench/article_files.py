"""data.csv and preferences.csv of docs/explanation/article.md, made of film reviews.

    .venv/bin/python bench/article_files.py movie_reviews.zip [--output FOLDER]

The zip (Pang and Lee 2004) holds pos/ and neg/ with a review in each .txt. Texts are two sentences each, none of which
is in two texts. Three quarters of the reviews are rated, 1 for a positive and 0 for a negative one; of the others the
columns `train` and `test` are made. Ratings stand eight by eight, which is how texts without a prompt are compared and
split: two passages of each of two positive and two negative reviews that come nowhere else.
"""

import argparse
import csv
import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from pretraining_objectives import read

from training.engine.data.packing import segments_of

TRAIN, TEST = 3000, 300
SHORTEST, LONGEST = 60, 400  # characters of a passage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", type=Path)
    parser.add_argument("--output", type=Path, default=Path())
    arguments = parser.parse_args()
    rng = random.Random(0)
    rated: list[list[tuple[str, int]]] = []
    unrated: list[str] = []
    for rating, kind in enumerate(("neg", "pos")):
        cut_up = [passages(review, rng) for review in shuffled(read(arguments.reviews)[kind], rng)]
        cut = len(cut_up) * 3 // 4
        unrated += itertools.chain.from_iterable(cut_up[cut:])
        rated.append([(text, rating) for texts in cut_up[:cut] if len(texts) > 1 for text in texts[:2]])
    texts = shuffled(unrated, rng)[: TRAIN + TEST]
    columns = itertools.zip_longest(texts[:TRAIN], texts[TRAIN:], fillvalue="")
    write(arguments.output / "data.csv", ("train", "test"), columns)
    write(arguments.output / "preferences.csv", ("text", "rating"), eights(*rated))


def passages(review: str, rng: random.Random) -> list[str]:
    """Two sentences on end each, none of them twice, in an order drawn by lot."""
    sentences = [part.strip() for part in segments_of(review) if len(part) > 20]
    texts = (" ".join(pair) for pair in zip(sentences[::2], sentences[1::2], strict=False))
    return shuffled([text for text in texts if SHORTEST < len(text) < LONGEST], rng)


def shuffled(items: list[str], rng: random.Random) -> list[str]:
    return rng.sample(items, len(items))


def eights(*kinds: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Four of each kind in turns, as far as both have four."""
    for start in range(0, min(map(len, kinds)) // 4 * 4, 4):
        for texts in kinds:
            yield from texts[start : start + 4]


def write(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str | int, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
