"""Rankings of three summaries by people: how well is a prompt's order foretold by a model that never saw the prompt?

    python bench/summaries.py DATA [--base-model ENCODER]

DATA holds prompts.jsonl.gz, responses.jsonl.gz and judgements.jsonl.gz as import_judgements takes them. For each prompt
in turn a linear model (on text, or on frozen states of ENCODER) learns from the rankings of all others and ranks its
responses. Printed is the mean Kendall τ-b with each rater's ranking, with an interval over prompts; beside it that of
length, of the mean rank that a response's author has on the other prompts, and the raters' own: the mean τ of one rater
with each of the others, and with the mean rank of all others.
"""

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

VALIDATION = 10  # every so many of the other prompts choose the ridge penalty


def tau(one, other):
    """Kendall's τ-b; None where one side ties all."""
    value = kendalltau(one, other).statistic
    return None if np.isnan(value) else float(value)


def mean(values):
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def result(by_prompt):
    """Mean over prompts with a 95 % bootstrap interval that draws prompts."""
    values = np.array([value for value in by_prompt if value is not None])
    draws = np.random.default_rng(0).choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}], {len(values)} prompts"


def read_once():
    """Let each text be read once by the frozen encoder: its states do not depend on which prompt is left out."""
    from training.engine.preference import linear

    read, known = linear._features, {}

    def features(reader, items):
        if new := [item for item in items if item not in known]:
            known.update(zip(new, read(reader, new), strict=True))
        reader.prepare(items)
        return torch.stack([known[item] for item in items])

    linear._features = features


def author_ranks(records, authors, prompt):
    """The mean rank of each author's responses to all prompts but this one."""
    ranks = defaultdict(list)
    for record in records:
        if record.prompt_id != prompt:
            for response, rank in zip(record.response_ids, record.ranks, strict=True):
                ranks[authors[response]].append(rank)
    return {author: statistics.fmean(found) for author, found in ranks.items()}


def predicted(records, prompt, base, folder):
    """The rewards of a prompt's responses, by response id, from a model of all other prompts."""
    from training.engine.models.reward import PreferenceModel
    from training.engine.preference.training import PreferenceConfig, train_preference

    others = sorted({record.prompt_id for record in records} - {prompt})
    validation = set(others[::VALIDATION])
    train_preference(
        [r for r in records if r.prompt_id != prompt and r.prompt_id not in validation],
        [r for r in records if r.prompt_id in validation],
        base_model=base, output=folder, config=PreferenceConfig(kind="linear"),
    )  # fmt: skip
    items = {
        response: (record.prompt, text)
        for record in records
        if record.prompt_id == prompt
        for response, text in zip(record.response_ids, record.responses, strict=True)
    }
    return dict(zip(items, PreferenceModel.load(folder).score(list(items.values())), strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--base-model", default="")
    args = parser.parse_args()
    import transformers
    from arguments import read, records_of

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    records = records_of(args.data, "")
    authors = {response["response_id"]: response["author"] for response in read(args.data, "responses")}
    if args.base_model:
        read_once()
    by_prompt = defaultdict(list)
    for record in records:
        by_prompt[record.prompt_id].append(record)
    model, longer, by_author, pairs, one_vs_others = [], [], [], [], []
    with tempfile.TemporaryDirectory(prefix="palate-bench-") as parent:
        for n, (prompt, own) in enumerate(by_prompt.items()):
            reward = predicted(records, prompt, args.base_model, Path(parent) / str(n))
            length = {i: len(text) for r in own for i, text in zip(r.response_ids, r.responses, strict=True)}
            ranks = [dict(zip(r.response_ids, r.ranks, strict=True)) for r in own]
            ids = sorted(reward)
            lists = [[-rank[i] for i in ids] for rank in ranks]
            model.append(mean(tau(output, [reward[i] for i in ids]) for output in lists))
            usual = author_ranks(records, authors, prompt)
            by_author.append(mean(tau(output, [-usual[authors[i]] for i in ids]) for output in lists))
            longer.append(mean(tau(output, [length[i] for i in ids]) for output in lists))
            pairs.append(mean(tau(a, b) for k, a in enumerate(lists) for b in lists[k + 1 :]))
            rest = [np.mean(lists[:k] + lists[k + 1 :], axis=0) for k in range(len(lists))] if len(lists) > 1 else []
            one_vs_others.append(mean(tau(a, b) for a, b in zip(lists, rest, strict=False)))
            if n % 20 == 19:
                print(f"{n + 1} of {len(by_prompt)} prompts: model {result(model)}", flush=True)
    for name, values in (
        ("model, prompt left out", model),
        ("the longer the better", longer),
        ("the author's mean rank elsewhere", by_author),
        ("one rater with another", pairs),
        ("one rater with the mean of the others", one_vs_others),
    ):
        print(f"{name}: {result(values)}")


if __name__ == "__main__":
    main()
