"""Writing bundles into a study, some thousand at a time: what is new is added, what is there is left as it is."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.collection.keys import task_key
from annotate.collection.leases import create_tasks
from annotate.collection.response_sets import response_sets
from annotate.exchange.importers.analyze_tables import Growth
from annotate.exchange.importers.bulk_copy import copy_in
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement
from annotate.exchange.importers.known_judgements import IMPORT, KnownJudgements, submission_of
from annotate.models.choices import Kind, Part, RaterStatus
from annotate.models.judgements import Device, Judgement
from annotate.models.members import Membership
from annotate.models.prompts import Prompt, Response, split_of
from annotate.models.studies import Study
from annotate.models.tasks import Task, TaskResponse
from annotate.studies.operations import add_criterion
from core.errors import PalateError

AT_A_TIME, MAX_AT_A_TIME = 2000, 50_000
DEFAULT_SCALE = (0.0, 100.0)
Problem = Callable[[PalateError], None]


def chunks(bundles: Iterable[Bundle]) -> Iterator[list[Bundle]]:
    """Bundles some thousand together; those of one prompt that follow each other are never divided."""
    chunk: list[Bundle] = []
    for bundle in bundles:
        full = len(chunk) >= AT_A_TIME and chunk[-1].prompt_id != bundle.prompt_id
        if full or len(chunk) >= MAX_AT_A_TIME:
            yield chunk
            chunk = []
        chunk.append(bundle)
    if chunk:
        yield chunk


def refuse(error: PalateError) -> None:
    """What an import does with a row that does not fit, unless it may leave out some."""
    raise error


class Writer:
    """One import into one study. `take` writes within the caller's transaction."""

    COUNTED = (
        *("prompts", "prompts_already_there", "responses", "responses_already_there"),
        *("judgements", "judgements_already_there", "raters", "tasks"),
        *("repeats", "duplicate_judgements", "other_split"),
    )

    def __init__(
        self,
        study: Study,
        shape: str,
        *,
        scales: Mapping[str, tuple[float, float]],
        make_tasks: bool = False,
        problems: Problem = refuse,
    ) -> None:
        self.study, self.shape, self.problem, self.make_tasks = study, shape, problems, make_tasks
        self.asked_scales = scales
        self.scales = {c.key: (c.minimum, c.maximum) for c in study.criteria.all()}
        self.raters: dict[tuple[str, str], int] = {}
        self.anonymous: Counter[bytes] = Counter()
        self.counts: Counter[str] = Counter()
        self.growth = Growth()

    def take(self, bundles: Sequence[Bundle]) -> None:
        """Write a chunk. Conflicts with what is there go to `problem`, which may raise."""
        prompts, bundles = self._prompts(bundles)
        ids, new = self._responses(bundles, prompts)
        judged = [
            (bundle, judgement) for bundle in bundles if bundle.prompt_id in prompts for judgement in bundle.judgements
        ]
        if judged:
            self._judgements(judged, prompts, ids)
        if self.make_tasks:
            self._make_tasks(bundles, new)
        self.growth.to(self.brought)

    @property
    def brought(self) -> int:
        """Rows that were new."""
        return sum(self.counts[name] for name in ("prompts", "responses", "judgements", "tasks"))

    def _prompts(self, bundles: Sequence[Bundle]) -> tuple[dict[str, int], list[Bundle]]:
        """Primary keys by id, and the bundles whose prompt has the text that the study knows."""
        found = self.study.prompts.filter(external_id__in={b.prompt_id for b in bundles})
        texts, pks, of_prompts = {}, {}, {}
        for pk, name, text, messages, split in found.values_list("pk", "external_id", "text", "messages", "split"):
            texts[name], pks[name], of_prompts[name] = (text, messages or []), pk, split
        known = set(pks)
        of_groups = self.study.prompts.filter(group__in={b.group for b in bundles if b.group})
        splits = dict(of_groups.values_list("group", "split"))
        new: dict[str, Prompt] = {}
        sound = []
        for bundle in bundles:
            try:
                asked = (bundle.prompt, list(bundle.messages))
                if texts.setdefault(bundle.prompt_id, asked) != asked:
                    bundle.row.fail(
                        "prompt", _("%(name)r stands there already with another text"), name=bundle.prompt_id
                    )
                if bundle.prompt_id not in pks and bundle.prompt_id not in new:
                    new[bundle.prompt_id] = self._prompt(bundle, splits)
                    of_prompts[bundle.prompt_id] = new[bundle.prompt_id].split
                elif bundle.split and bundle.split != of_prompts[bundle.prompt_id] and not bundle.divided:
                    self.counts["other_split"] += 1
                sound.append(bundle)
            except PalateError as error:
                self.problem(error)
        copy_in(new.values())
        self.counts["prompts"] += len(new)
        self.counts["prompts_already_there"] += len(known)
        return {**pks, **{name: prompt.pk for name, prompt in new.items()}}, sound

    def _prompt(self, bundle: Bundle, splits: dict[str, str]) -> Prompt:
        split = "" if bundle.divided else bundle.split
        if not split:
            split = splits.get(bundle.group) or split_of(
                bundle.group or bundle.prompt_id,
                validation_share=self.study.validation_share,
                test_share=0 if bundle.divided else self.study.test_share,
            )
        if bundle.group and splits.setdefault(bundle.group, split) != split:
            message = _("%(split)r, but group %(group)r is in %(other)r")
            bundle.row.fail("split", message, split=split, group=bundle.group, other=splits[bundle.group])
        return Prompt(
            study=self.study,
            external_id=bundle.prompt_id,
            text=bundle.prompt,
            messages=list(bundle.messages) or None,
            group=bundle.group,
            split=split,
            reference=bundle.reference,
            context=bundle.context,
            audience=list(bundle.audience),
        )

    def _responses(
        self, bundles: list[Bundle], prompts: Mapping[str, int]
    ) -> tuple[dict[tuple[int, str], int], list[Response]]:
        """Primary keys by prompt and id, and the responses that were new."""
        there = {}
        for prompt, name, pk, text in Response.objects.filter(prompt__in=prompts.values()).values_list(
            "prompt", "external_id", "pk", "text"
        ):
            there[prompt, name] = (pk, text)
        new: dict[tuple[int, str], Response] = {}
        known = set()
        for bundle in list(bundles):
            prompt = prompts[bundle.prompt_id]
            try:
                for response in bundle.responses:
                    key = (prompt, response.external_id)
                    if key in there:
                        before = there[key][1]
                        known.add(key)
                    else:
                        made = new.setdefault(key, Response(
                            prompt_id=prompt, external_id=response.external_id, text=response.text,
                            author_name=response.author,
                        ))  # fmt: skip
                        before = made.text
                    if before != response.text:
                        message = _("%(name)r stands there already with another text")
                        bundle.row.fail("response", message, name=response.external_id)
            except PalateError as error:
                self.problem(error)
                bundles.remove(bundle)
        copy_in(new.values())
        self.counts["responses"] += len(new)
        self.counts["responses_already_there"] += len(known)
        ids = {key: pk for key, (pk, _) in there.items()}
        return {**ids, **{key: response.pk for key, response in new.items()}}, list(new.values())

    def _judgements(
        self,
        judged: list[tuple[Bundle, ImportedJudgement]],
        prompts: Mapping[str, int],
        ids: Mapping[tuple[int, str], int],
    ) -> None:
        shown = [[ids[prompts[bundle.prompt_id], name] for name in imported.shown] for bundle, imported in judged]
        tasks = self._tasks(judged, prompts, shown)
        names = [self._rater_name(imported, pks) for (_, imported), pks in zip(judged, shown, strict=True)]
        self._know_raters(
            {(imported.kind, name): imported.status for (_, imported), name in zip(judged, names, strict=True)}
        )
        waiting: list[tuple[Judgement, str]] = []
        answers = KnownJudgements(self.study, set(tasks.values()), {imported.external_id for _, imported in judged})
        for (bundle, imported), pks, name in sorted(zip(judged, shown, names, strict=True), key=_when):
            try:
                scores = self._scores(bundle, imported)
                judgement = _judgement(imported, tasks[task_key(pks)], self.raters[imported.kind, name], pks, scores)
                while imported.rater is None and answers.contradicts(judgement):
                    # Whom the source does not name is another rater than one who gave another answer.
                    name = self._next_anonymous(name)
                    judgement.rater_id = self.raters[imported.kind, name]
                if before := answers.known(judgement, imported, bundle):
                    self.counts["duplicate_judgements" if before == IMPORT else "judgements_already_there"] += 1
                    continue
                self.counts["repeats"] += answers.add(judgement)
                waiting.append((judgement, imported.supersedes))
            except PalateError as error:
                self.problem(error)
        self._insert(waiting)

    def _insert(self, waiting: list[tuple[Judgement, str]]) -> None:
        """What supersedes another judgement is written after it."""
        added: Counter[int] = Counter()
        while waiting:
            superseded = {(j.rater_id, submission_of(name)) for j, name in waiting if name}
            found = Judgement.objects.filter(
                rater__in={rater for rater, _ in superseded},
                submission__in={submission for _, submission in superseded},
            )
            pks = {(rater, submission): pk for pk, rater, submission in found.values_list("pk", "rater", "submission")}
            ready = [(j, name) for j, name in waiting if not name or (j.rater_id, submission_of(name)) in pks]
            if not ready:
                lost = _("%(name)s is superseded, but neither in the file nor in the study")
                self.problem(PalateError(lost % {"name": waiting[0][1]}))
                break
            for judgement, name in ready:
                judgement.supersedes_id = pks[judgement.rater_id, submission_of(name)] if name else None
            copy_in([judgement for judgement, _ in ready])
            self.counts["judgements"] += len(ready)
            added.update(j.task_id for j, _ in ready if j.live and j.part == Part.VOTE)
            done = {id(judgement) for judgement, _ in ready}
            waiting = [(j, name) for j, name in waiting if id(j) not in done]
        count_slots(added)

    def _tasks(
        self, judged: list[tuple[Bundle, ImportedJudgement]], prompts: Mapping[str, int], shown: list[list[int]]
    ) -> dict[str, int]:
        """Task key to primary key, one task for each set of responses; new ones are full from the start."""
        tasks_by_key = {
            task_key(pks): (prompts[bundle.prompt_id], bundle, pks)
            for (bundle, _), pks in zip(judged, shown, strict=True)
        }
        tasks = dict(self.study.tasks.filter(key__in=tasks_by_key).values_list("key", "pk"))
        made = [
            Task(
                study=self.study,
                prompt_id=prompt,
                key=key,
                replication=0,
                purpose=bundle.purpose,
                chosen_by=bundle.chosen_by,
            )
            for key, (prompt, bundle, _) in tasks_by_key.items()
            if key not in tasks
        ]
        copy_in(made)
        copy_in(
            [
                TaskResponse(task=task, response_id=pk, position=position)
                for task in made
                for position, pk in enumerate(tasks_by_key[task.key][2])
            ]
        )
        self.counts["tasks"] += len(made)
        return {**tasks, **{task.key: task.pk for task in made}}

    def _rater_name(self, judgement: ImportedJudgement, shown: list[int]) -> str:
        """A source that names no raters: each further answer on the same responses is another's."""
        if judgement.rater is not None:
            return judgement.rater
        key = bytes.fromhex(task_key(shown))[:8]
        self.anonymous[key] += 1
        return f"{self.shape}#{self.anonymous[key]}"

    def _next_anonymous(self, name: str) -> str:
        shape, number = name.split("#")
        name = f"{shape}#{int(number) + 1}"
        self._know_raters({(Kind.IMPORTED, name): ""})
        return name

    def _know_raters(self, statuses: Mapping[tuple[str, str], str]) -> None:
        missing = {key: status for key, status in statuses.items() if key not in self.raters}
        if not missing:
            return
        Membership.objects.bulk_create(
            (
                Membership(study=self.study, external_id=name, kind=kind, status=status or RaterStatus.GOOD)
                for (kind, name), status in sorted(missing.items())
            ),
            ignore_conflicts=True,
        )
        found = self.study.memberships.filter(external_id__in={name for _, name in missing})
        self.raters.update({(kind, str(name)): pk for kind, name, pk in found.values_list("kind", "external_id", "pk")})
        self.counts["raters"] = len(self.raters)

    def _scores(self, bundle: Bundle, judgement: ImportedJudgement) -> dict[str, list[float]]:
        for key, values in judgement.scores.items():
            if key not in self.scales:
                scale = self.asked_scales.get(key) or bundle.scales.get(key)
                if scale is None:
                    missing = _("the study has no criterion %(key)r; name its range with --scale %(key)s:MIN:MAX")
                    bundle.row.fail(f"scores.{key}", missing, key=key)
                low, high = scale
                add_criterion(study=self.study, key=key, minimum=low, maximum=high)
                self.scales[key] = (low, high)
            low, high = self.scales[key]
            if wrong := [value for value in values if not low <= value <= high]:
                message = _("%(value)r is not a number from %(low)g to %(high)g")
                bundle.row.fail(f"scores.{key}", message, value=wrong[0], low=low, high=high)
        return {key: [float(value) for value in values] for key, values in judgement.scores.items()}

    def _make_tasks(self, bundles: Sequence[Bundle], new: list[Response]) -> None:
        by_prompt: dict[int, list[Response]] = {}
        for response in new:
            by_prompt.setdefault(response.prompt_id, []).append(response)
        sets = response_sets(self.study.method, list(by_prompt.values()), self.study.rank_size)
        if sets and not any(bundle.judgements for bundle in bundles):
            self.counts["tasks"] += create_tasks(study=self.study, response_sets=sets)


def _when(judged: tuple[tuple[Bundle, ImportedJudgement], list[int], str]) -> float:
    """Judgements in the order of time, so that the earlier of two by one rater is the vote; those without one first."""
    at = judged[0][1].at
    return at.timestamp() if at else 0.0


def _judgement(
    judgement: ImportedJudgement, task: int, rater: int, shown: list[int], scores: dict[str, list[float]]
) -> Judgement:
    return Judgement(
        task_id=task,
        rater_id=rater,
        part=judgement.part,
        instructions_version=judgement.instructions_version,
        shown=shown,
        ranks=list(judgement.ranks) if judgement.ranks is not None else None,
        scores=scores,
        strength=judgement.strength,
        unacceptable=list(judgement.unacceptable) or [False] * len(shown),
        label=judgement.label,
        confidence=judgement.confidence,
        comment=judgement.comment,
        seconds=judgement.seconds,
        device=judgement.device if judgement.device in Device.values else "",
        submission=submission_of(judgement.external_id),
        live=judgement.live,
        order_known=judgement.order_known,
        made_at=judgement.at or timezone.now(),
    )


def count_slots(added: Counter[int]) -> None:
    """An imported judgement brings its own slot: tasks of the study stay as open to people as they were."""
    by_count: dict[int, list[int]] = defaultdict(list)
    for task, count in added.items():
        by_count[count].append(task)
    for count, tasks in by_count.items():
        Task.objects.filter(pk__in=tasks).update(
            replication=F("replication") + count, slots_taken=F("slots_taken") + count
        )
