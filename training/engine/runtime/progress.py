"""The interface through which a long loop reports and is cancelled. Imports nothing heavy."""

from typing import Protocol

# A text in pieces, each with a number.
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
        """Report the policy's responses to a prompt before tuning and at `step`, with their rewards and the change of
        each piece's log-probability by tuning, in nats (training.engine.rl.token_changes)."""

    def position(self) -> dict[str, int]:
        """Return how far metrics and samples have come, to be saved in a checkpoint."""

    def resume_at(self, position: dict[str, int]) -> None:
        """Resume at the position of a checkpoint: what was reported after it will be reported again."""

    def cancelled(self) -> bool: ...


class SilentReporter:
    """A reporter that ignores everything and never cancels."""

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

    def position(self) -> dict[str, int]:
        return {}

    def resume_at(self, position: dict[str, int]) -> None:
        pass

    def cancelled(self) -> bool:
        return False


class Stage:
    """A reporter for stage `number` (from 1) of a run with `parts` stages; its progress is a percentage of the
    whole."""

    def __init__(self, reporter: Reporter, number: int, parts: int) -> None:
        self._progress, self._before, self._parts = reporter.progress, number - 1, parts
        self.metric, self.log, self.sample = reporter.metric, reporter.log, reporter.sample
        self.comparison, self.cancelled = reporter.comparison, reporter.cancelled
        self.position, self.resume_at = reporter.position, reporter.resume_at

    def progress(self, step: int, total: int) -> None:
        self._progress(round(100 * (self._before + step / max(1, total)) / self._parts), 100)


def advance(reporter: Reporter, step: int, total: int) -> None:
    """Report that `step` of `total` steps are done. Raises Cancelled when the user asked to stop."""
    reporter.progress(step, total)
    if reporter.cancelled():
        raise Cancelled
