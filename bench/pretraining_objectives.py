"""Pretraining by preference beside plain pretraining, on film reviews: perplexity against reward of the samples.

    .venv/bin/python bench/pretraining_objectives.py movie_reviews.zip [--seeds 3] [--steps 300]
        [--objectives mle conditional …] [--work FOLDER] [--json FILE]

The zip holds pos/ and neg/ with a review in each .txt. The preference model learns from passages of positive against
passages of negative reviews of one half of the films; the corpus is the other half. A second preference model, of
another seed, judges what is written. The preference head of `joint` is tested on the same passages as the judges;
`conditional` writes once more with its marks exchanged. With --work what is done is not done again.
"""

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from over_seeds import mean_and_error

from core.records import Record
from training.engine.data.packing import Document, segments_of
from training.engine.generation.sampling import generate, load_policy
from training.engine.models.reward import PreferenceModel
from training.engine.preference.training import PreferenceConfig, train_preference
from training.engine.pretraining.objectives import OBJECTIVES
from training.engine.pretraining.training import BAD, GOOD, PretrainConfig, pretrain, scored

SAMPLES = 200
BASE = PretrainConfig(vocab_size=2048, width=128, layers=3, heads=4, context=96, batch_size=16, learning_rate=3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--objectives", nargs="*", default=OBJECTIVES, choices=OBJECTIVES)
    parser.add_argument("--judgements", type=int, default=4000, help="pairs of passages that the judges learn from")
    parser.add_argument("--work", type=Path, help="keep judges, models and results in this folder")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    reviews = read(arguments.corpus)
    with tempfile.TemporaryDirectory() as folder:
        figures = compare(arguments.work or Path(folder), reviews, arguments)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2))


def read(corpus: Path) -> dict[str, list[str]]:
    reviews: dict[str, list[str]] = {"pos": [], "neg": []}
    with zipfile.ZipFile(corpus) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".txt"):
                reviews[Path(name).parent.name].append(archive.read(name).decode("utf-8"))
    return reviews


def compare(folder: Path, reviews: dict[str, list[str]], arguments: argparse.Namespace) -> dict:
    half = {kind: len(texts) // 2 for kind, texts in reviews.items()}
    judged = {kind: texts[: half[kind]] for kind, texts in reviews.items()}
    corpus = [Document("", (text,)) for kind, texts in reviews.items() for text in texts[half[kind] :]]
    random.Random(0).shuffle(corpus)
    config = replace(BASE, max_steps=arguments.steps)
    teacher, judge = (train_judge(folder / f"judge{n}", judged, arguments.judgements, seed=n) for n in (1, 2))
    print(
        f"judges on held-out sentences: {accuracy(teacher, judged):.3f} and {accuracy(judge, judged):.3f}", flush=True
    )
    documents = scored(corpus, teacher.score)
    figures: dict = {objective: [] for objective in arguments.objectives}
    for seed in range(arguments.seeds):
        for objective in arguments.objectives:
            result = folder / f"{objective}-{seed}.json"
            if not result.exists():
                row = measured(
                    result.with_suffix(""), documents, replace(config, objective=objective, seed=seed), teacher, judge
                )
                if objective == "joint":
                    own = PreferenceModel.load(result.with_suffix("") / "preference")
                    row["own_accuracy"] = accuracy(own, judged)
                if objective == "conditional":
                    row |= marks_exchanged(result.with_suffix(""), teacher, judge)
                result.write_text(json.dumps(row))
            row = json.loads(result.read_text())
            figures[objective].append(row)
            print(f"seed {seed} {objective}: " + ", ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
    report(figures)
    return figures


def measured(
    output: Path, documents: list[Document], config: PretrainConfig, teacher: PreferenceModel, judge: PreferenceModel
) -> dict[str, float]:
    metrics = pretrain(documents, output=output, config=config)
    return {"perplexity": metrics["perplexity"], **written(output, teacher, judge)}


def train_judge(output: Path, reviews: dict[str, list[str]], count: int, seed: int) -> PreferenceModel:
    if (output / "config.json").exists():
        return PreferenceModel.load(output)
    pairs = sentence_pairs(reviews, count, seed)
    cut = len(pairs) * 9 // 10
    # Linear on text: the small model that is pretrained here reads sentences no better than chance would have it.
    config = PreferenceConfig(kind="linear", max_length=128, seed=seed)
    train_preference(pairs[:cut], pairs[cut:], base_model="", output=output, config=config)
    return PreferenceModel.load(output)


def sentence_pairs(reviews: dict[str, list[str]], count: int, seed: int, first: float = 0.0) -> list[Record]:
    """Judgements in which a passage of a positive review beats one of a negative review; the last tenth of the films is
    left for the judges' own test."""
    rng = random.Random(seed)
    records = []
    for n in range(count):
        texts = []
        for kind in ("pos", "neg"):
            films = reviews[kind]
            cut = int(len(films) * 0.9)
            texts.append(passage(rng, rng.choice(films[cut:] if first else films[:cut])))
        flip = rng.random() < 0.5
        records.append(
            Record(
                prompt_id=str(n), group=str(n), prompt="", response_ids=(f"{n}a", f"{n}b"),
                responses=tuple(reversed(texts)) if flip else tuple(texts), ranks=(2, 1) if flip else (1, 2), rater="r",
            )
        )  # fmt: skip
    return records


def passage(rng: random.Random, text: str) -> str:
    """Two sentences on end."""
    parts = [part.strip() for part in segments_of(text) if len(part) > 20] or [text]
    start = rng.randrange(max(1, len(parts) - 1))
    return " ".join(parts[start : start + 2])


def accuracy(model: PreferenceModel, reviews: dict[str, list[str]]) -> float:
    records = sentence_pairs(reviews, 400, 9, first=0.9)
    hits = 0
    for record in records:
        a, b = model.score([("", text) for text in record.responses])
        hits += (a > b) == (record.ranks is not None and record.ranks[0] == 1)
    return hits / len(records)


def written(folder: Path, teacher: PreferenceModel, judge: PreferenceModel) -> dict[str, float]:
    """Mean standardised rewards of SAMPLES texts: by the model that scored the corpus, and by the one that did not."""
    torch.manual_seed(0)
    samples = generate(
        load_policy(str(folder)), [""], per_prompt=SAMPLES, max_completion_length=48, seed=5, batch_size=SAMPLES
    )
    items = [("", completion.text or " ") for completion in samples[0]]
    judges = {"quality": teacher, "held_out_quality": judge}
    return {name: statistics.fmean(model.quality(model.score(items))) for name, model in judges.items()}


def marks_exchanged(folder: Path, teacher: PreferenceModel, judge: PreferenceModel) -> dict[str, float]:
    """What the model writes where it is told to write badly: what its marks mean to it."""
    with tempfile.TemporaryDirectory() as temporary:
        other = Path(shutil.copytree(folder, Path(temporary) / "exchanged"))
        good = load_policy(str(folder)).tokenizer.convert_tokens_to_ids(GOOD)
        template, settings = other / "chat_template.jinja", other / "generation_config.json"
        template.write_text(template.read_text().replace(GOOD, BAD))
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"bad_words_ids": [[good]]}))
        return {f"{name}_of_bad": value for name, value in written(other, teacher, judge).items()}


def report(figures: dict) -> None:
    print("\n| objective | perplexity | quality | quality by the held-out judge |\n|---|---|---|---|")
    for objective, rows in figures.items():
        cells = [mean_and_error([row[key] for row in rows], 3) for key in ("perplexity", "quality", "held_out_quality")]
        print(f"| {objective} | " + " | ".join(cells) + " |")
    if rows := figures.get("conditional"):
        cells = [mean_and_error([row[f"{key}_of_bad"] for row in rows], 3) for key in ("quality", "held_out_quality")]
        print(f"| … its marks exchanged | | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
