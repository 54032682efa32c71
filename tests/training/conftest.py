import pytest

from training import tasks


@pytest.fixture
def sent(monkeypatch):
    """What would go to the broker: the ids of the runs, in order. A real broker is used in test_worker."""
    ids = []
    monkeypatch.setattr(tasks.execute, "delay", ids.append)
    return lambda: ids
