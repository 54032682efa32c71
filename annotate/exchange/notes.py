"""What an import did not take over as it stood, for the person who imports: fields, rows and cells."""

from collections import Counter
from collections.abc import Iterable


class Notes:
    """ignored: fields that hold something and that nothing reads. left_out: rows, messages or annotations that the
    source itself takes back, by reason. remarks: sentences on how a file was read."""

    def __init__(self) -> None:
        self.ignored: dict[str, None] = {}
        self.left_out: Counter[str] = Counter()
        self.remarks: list[str] = []

    def ignore(self, names: Iterable[str]) -> None:
        self.ignored.update(dict.fromkeys(names))

    def leave_out(self, reason: str, count: int = 1) -> None:
        self.left_out[reason] += count

    def remark(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)
