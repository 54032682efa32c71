"""Exceptions of runs."""


class StaleAttempt(Exception):
    """Another attempt of the run is at work, or the run has ended: nothing that this one writes counts any more."""
