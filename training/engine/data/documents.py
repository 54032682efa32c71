"""What pretraining reads. Imports nothing heavy."""

from dataclasses import dataclass

UNSCORED = 0.0


@dataclass(frozen=True, slots=True)
class Document:
    """A prompt ("" for plain text) and what follows it, in segments; with one score a segment where they are judged."""

    prompt: str
    segments: tuple[str, ...]
    scores: tuple[float, ...] = ()

    @property
    def text(self) -> str:
        return "".join(self.segments)

    @property
    def score(self) -> float:
        """The mean over its segments."""
        return sum(self.scores) / len(self.scores) if self.scores else UNSCORED
