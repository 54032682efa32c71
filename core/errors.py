"""What operations raise when a request cannot be carried out. Commands print it and exit with 1, pages
show it, the API answers 4xx; nothing has been written when it is raised."""


class PalateError(Exception):
    """A message for the person who asked: what is wrong, where, and what would be right."""


class LimitReached(PalateError):
    """Too much in too short a time: the request may be made again after `seconds`. Pages and the API answer 429."""

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds
