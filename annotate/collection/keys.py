import hashlib
from collections.abc import Iterable


def task_key(response_ids: Iterable[int]) -> str:
    """The identity of a task: a hash of its set of responses, whatever their order."""
    return hashlib.sha256(",".join(map(str, sorted(response_ids))).encode()).hexdigest()
