"""Which judgements a figure counts: whose, and which part of them. Every page and statistic shares this selection."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.models.choices import Kind, Part


class Who(models.TextChoices):
    """Whose judgements count."""

    PEOPLE = "people", gettext_lazy("people")
    SIMULATED = "simulated", gettext_lazy("simulated raters")
    MACHINE = "machine", gettext_lazy("machine judges")
    ALL = "all", gettext_lazy("everybody")


KINDS: dict[str, tuple[str, ...]] = {
    Who.PEOPLE: (Kind.PERSON, Kind.IMPORTED, Kind.ERASED),
    Who.SIMULATED: (Kind.SIMULATED,),
    Who.MACHINE: (Kind.MACHINE,),
    Who.ALL: tuple(Kind.values),
}
PARTS = [
    (Part.VOTE, gettext_lazy("votes")),
    (Part.REPEAT, gettext_lazy("repeats")),
    (Part.ADJUDICATION, gettext_lazy("experts' decisions")),
    (Part.REWRITE, gettext_lazy("rewrites")),
]


@dataclass(frozen=True)
class JudgementSelection:
    """Whose judgements (Who) and which part of them (Part) a figure counts; people's votes unless asked otherwise."""

    who: str = Who.PEOPLE
    part: str = Part.VOTE

    @property
    def query(self) -> str:
        """The selection as it stands in an address."""
        return urlencode({"who": self.who, "answers": self.part})

    @property
    def source(self) -> str:
        """Return which data a figure comes from, in words."""
        who, answers = Who(self.who).label, dict(PARTS)[Part(self.part)]
        named = _("judgements of: %(who)s; answers: %(answers)s") % {"who": who, "answers": answers}
        return f"{named}; {_('imported raters count as people, known answers and excluded raters are left out')}"

    def of_part(self, part: str) -> "JudgementSelection":
        """Return the selection of the same raters' answers of another part."""
        return replace(self, part=part)
