"""Studies that statistics find hard, written straight into the database; each function makes one and returns it."""

from datetime import UTC, datetime, timedelta

import numpy as np

from annotate.collection.keys import task_key
from annotate.models.choices import Kind
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.prompts import Prompt, Response, Split
from annotate.models.studies import Criterion
from annotate.models.tasks import Task, TaskResponse
from tests.factories import StudyFactory

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday

# Key: lowest score, highest score, step.
SEVEN = {
    "overall": (0, 100, 1),
    "clear": (1, 5, 1),
    "correct": (0, 1, 1),
    "kind": (1, 7, 1),
    "brief": (0, 10, 0.5),
    "safe": (0, 1, 1),
    "style": (-3, 3, 1),
}


class Building:
    """A study that is being written: responses and tasks at once, judgements at the end."""

    def __init__(self, slug, *, method="compare", criteria=(), raters=2, name="", kind=Kind.IMPORTED):
        self.study = StudyFactory(slug=slug, name=name or slug, method=method, require_reading=False)
        Criterion.objects.bulk_create(
            Criterion(study=self.study, key=key, name=key.title(), minimum=low, maximum=high, step=step, position=place)
            for place, (key, (low, high, step)) in enumerate(dict(criteria).items())
        )
        self.raters = [
            member.pk
            for member in Membership.objects.bulk_create(
                Membership(study=self.study, external_id=f"w{number}", kind=kind) for number in range(raters)
            )
        ]
        self.judgements = []

    def prompt(self, authors, *, group="", audience=(), sentences=None):
        """A prompt with one response an author, by number of sentences; the responses' ids."""
        number = self.study.prompts.count()
        prompt = Prompt.objects.create(
            study=self.study,
            external_id=f"p{number}",
            text=f"What is answer number {number}?",
            group=group,
            audience=list(audience),
            split=Split.TRAIN,
        )
        made = Response.objects.bulk_create(
            Response(
                prompt=prompt,
                external_id=f"{number}-{place}",
                text="A sentence. " * (place + 1 if sentences is None else sentences[place]),
                author_name=author,
            )
            for place, author in enumerate(authors)
        )
        return prompt, [response.pk for response in made]

    def task(self, prompt, responses):
        task = Task.objects.create(study=self.study, prompt=prompt, key=task_key(responses), replication=0)
        TaskResponse.objects.bulk_create(
            TaskResponse(task=task, response_id=pk, position=place) for place, pk in enumerate(responses)
        )
        return task

    def judge(self, task, rater, shown, *, values=None, scores=None, unacceptable=None, at=None, seconds=None):
        """values: one a response shown, the higher the better, equal ones are ties; None for scores alone."""
        ranks = None if values is None else (np.unique(-np.asarray(values), return_inverse=True)[1] + 1).tolist()
        self.judgements.append(
            Judgement(
                task=task,
                rater_id=self.raters[rater],
                shown=[int(pk) for pk in shown],
                ranks=ranks,
                scores=scores or {},
                unacceptable=unacceptable or [False] * len(shown),
                made_at=at or BEGIN + timedelta(minutes=len(self.judgements)),
                seconds=seconds,
            )
        )

    def done(self):
        Judgement.objects.bulk_create(self.judgements, batch_size=5000)
        return self.study


def seven_criteria(slug="seven", *, prompts=30, raters=6, seed=0):
    """Responses scored one by one on seven scales; raters leave criteria out, and the last came half-way."""
    rng = np.random.default_rng(seed)
    building = Building(slug, method="score", criteria=SEVEN, raters=raters)
    for number in range(prompts):
        prompt, responses = building.prompt(["ada", "bob", "cyd"], group=f"group {number % 3}")
        for place, response in enumerate(responses):
            task, quality = building.task(prompt, [response]), rng.normal(0.5 * place)
            for rater in np.flatnonzero(rng.random(raters) < 0.7):
                given = {}
                for key, (low, high, step) in SEVEN.items():
                    late = key == "style" and number < prompts / 2
                    if late or (key != "overall" and rng.random() < 0.3):
                        continue
                    noisy = (low + high) / 2 + (high - low) / 4 * (quality + rng.normal(0, 0.7))
                    given[key] = [float(np.clip(round(noisy / step) * step, low, high))]
                building.judge(task, rater, [response], scores=given, seconds=float(rng.integers(3, 90)))
    return building.done()


LANGUAGES = ("de", "zh", "ar")
GROUPS = (
    "questions of cooks",
    "العربية: أسئلة طويلة",
    "a group whose name is so long that no column of labels could hold it",
)


def ties_everywhere(slug="ties", *, prompts=30, raters=40, each=5, authors=6, seed=0):
    """Rankings of four with many ties, responses of which all are unacceptable, languages, groups and four weeks."""
    rng = np.random.default_rng(seed)
    building = Building(slug, method="rank", criteria={"clear": (1, 5, 1)}, raters=raters)
    names = [f"model {k}" for k in range(authors - 1)] + ["a model with quite a long name, version 2026-11-24"]
    for number in range(prompts):
        four = rng.choice(authors, 4, replace=False)
        audience = [LANGUAGES[number % 3], *(["expert"] if number % 5 == 0 else [])]
        prompt, responses = building.prompt(
            [names[k] for k in four], group=GROUPS[number % 3], audience=audience, sentences=rng.integers(1, 9, 4)
        )
        task = building.task(prompt, responses)
        for rater in rng.choice(raters, each, replace=False):
            order = rng.permutation(4)
            # Whole numbers: many are equal.
            values = np.round(0.4 * four[order] / authors * 4 + rng.normal(0, 0.9, 4))
            flags = [True] * 4 if rng.random() < 0.15 else [bool(flag) for flag in rng.random(4) < 0.1]
            if all(flags):
                values = np.zeros(4)
            building.judge(
                task,
                rater,
                np.array(responses)[order],
                values=values,
                scores={"clear": [float(score) for score in np.clip(values + 3, 1, 5)]},
                unacceptable=flags,
                at=BEGIN + timedelta(days=28 * number / prompts, minutes=float(rng.integers(600))),
                seconds=float(rng.integers(2, 200)),
            )
    return building.done()


def pairs(slug, says, *, tasks=12, raters=3, authors=("ada", "bob"), each=None):
    """Pairs judged by `says(task, rater, first shown)`: the outcome of the first author, 1, 0.5 or 0.
    authors: two names, or a function of the task's number. each: raters of a task by its number, all if not given."""
    rng = np.random.default_rng(0)
    building = Building(slug, raters=raters)
    for number in range(tasks):
        two = authors(number) if callable(authors) else authors
        prompt, responses = building.prompt(two, sentences=rng.integers(1, 9, 2))
        task = building.task(prompt, responses)
        for rater in each(number) if each else range(raters):
            order = rng.permutation(2)
            outcome = says(number, rater, order[0])
            values = np.array([outcome, 1 - outcome])[order]
            building.judge(task, rater, np.array(responses)[order], values=values, seconds=20.0)
    return building.done()


def one_rater(slug="one-rater"):
    return pairs(slug, lambda task, rater, first: task % 3 / 2, raters=1)


def one_author(slug="one-author"):
    return pairs(slug, lambda task, rater, first: (task + rater) % 3 / 2, authors=("ada", "ada"))


def no_overlap(slug="no-overlap"):
    return pairs(slug, lambda task, rater, first: task % 3 / 2, raters=4, each=lambda task: [task % 4])


def all_ties(slug="all-ties"):
    return pairs(slug, lambda task, rater, first: 0.5)


def never_loses(slug="never-loses"):
    names = ("best", "bob", "cyd")
    return pairs(
        slug,
        lambda task, rater, first: 1.0 if task % 3 != 1 else float((task // 3 + rater) % 2),
        authors=lambda task: [("best", "bob"), ("bob", "cyd"), ("best", "cyd")][task % 3] if names else (),
    )


def in_two_parts(slug="two-parts"):
    return pairs(
        slug,
        lambda task, rater, first: float((task // 2 + rater) % 2),
        authors=lambda task: [("ada", "bob"), ("cyd", "dan")][task % 2],
        tasks=13,
    )


def always_the_first(slug="always-first"):
    return pairs(slug, lambda task, rater, first: float(first == 0))


def always_the_same(slug="always-same"):
    """All raters name the same author in all tasks."""
    return pairs(slug, lambda task, rater, first: 1.0)


def one_vote(slug="one-vote"):
    return pairs(slug, lambda task, rater, first: 1.0, tasks=1, raters=1)


def one_task(slug="one-task"):
    return pairs(slug, lambda task, rater, first: float(rater % 2), tasks=1)


def same_scores(slug="same-scores"):
    """Every rater gives every response the same score, and two criteria were never used."""
    building = Building(slug, method="score", criteria={"a": (1, 5, 1), "b": (0, 1, 1), "c": (0, 100, 1)}, raters=3)
    for _ in range(5):
        prompt, responses = building.prompt(["ada", "bob"])
        for response in responses:
            task = building.task(prompt, [response])
            for rater in range(3):
                building.judge(task, rater, [response], scores={"a": [3.0]})
    return building.done()


def nothing_yet(slug="nothing-yet"):
    building = Building(slug, method="rank", criteria=SEVEN, raters=2)
    prompt, responses = building.prompt(["ada", "bob", "cyd"])
    building.task(prompt, responses)
    return building.done()


DEGENERATE = (
    *(one_rater, one_author, no_overlap, all_ties, never_loses, in_two_parts),
    *(always_the_first, always_the_same, one_vote, one_task, same_scores, nothing_yet),
)
