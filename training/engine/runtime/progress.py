"""What a long loop needs from whoever started it. Imports nothing heavy."""

from typing import Protocol

# A text in pieces with a number each.
Pieces = list[tuple[str, float]]


class Cancelled(Exception):
    """The user asked the loop to stop."""


class Reporter(Protocol):
    def progress(self, step: int, total: int) -> None: ...

    def metric(self, step: int, **values: float) -> None: ...

    def log(self, message: str) -> None: ...

    def sample(self, step: int, prompt: str, response: str, reward: float | None) -> None: ...

    def comparison(
        self,
        step: int,
        prompt: str,
        texts: tuple[str, str],
        rewards: tuple[float, float] | None,
        changes: tuple[Pieces, Pieces],
    ) -> None:
        """What the policy wrote to a prompt before it was tuned, and at `step`, with the rewards of both and how much
        likelier tuning made each piece of them, in nats (training.engine.rl.token_changes)."""

    def told(self) -> dict[str, int]:
        """How far metrics and samples have come, for a checkpoint to keep."""

    def going_on(self, told: dict[str, int]) -> None:
        """A later attempt goes on from the checkpoint that kept this: what was told after it will be told again."""

    def cancelled(self) -> bool: ...


class SilentReporter:
    """Listens to nothing and never cancels."""

    def progress(self, step: int, total: int) -> None:
        pass

    def metric(self, step: int, **values: float) -> None:
        pass

    def log(self, message: str) -> None:
        pass

    def sample(self, step: int, prompt: str, response: str, reward: float | None) -> None:
        pass

    def comparison(
        self,
        step: int,
        prompt: str,
        texts: tuple[str, str],
        rewards: tuple[float, float] | None,
        changes: tuple[Pieces, Pieces],
    ) -> None:
        pass

    def told(self) -> dict[str, int]:
        return {}

    def going_on(self, told: dict[str, int]) -> None:
        pass

    def cancelled(self) -> bool:
        return False


class Stage:
    """A reporter of the part `number`, from 1, of `parts` of a run; its progress is per cent of the whole."""

    def __init__(self, reporter: Reporter, number: int, parts: int) -> None:
        self._progress, self._before, self._parts = reporter.progress, number - 1, parts
        self.metric, self.log, self.sample = reporter.metric, reporter.log, reporter.sample
        self.comparison, self.cancelled = reporter.comparison, reporter.cancelled
        self.told, self.going_on = reporter.told, reporter.going_on

    def progress(self, step: int, total: int) -> None:
        self._progress(round(100 * (self._before + step / max(1, total)) / self._parts), 100)


def advance(reporter: Reporter, step: int, total: int) -> None:
    """Say that `step` of `total` steps are done; raises Cancelled when the user asked to stop."""
    reporter.progress(step, total)
    if reporter.cancelled():
        raise Cancelled
