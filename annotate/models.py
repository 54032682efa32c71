"""The tables of the web app, gathered from its slices so that Django finds them."""

from annotate.judgements.models import Judgement
from annotate.members.models import Membership, Role
from annotate.prompts.models import Prompt, Response, Split
from annotate.studies.models import Criterion, Method, Study
from annotate.tasks.models import Assignment, Task, TaskResponse

__all__ = [
    "Assignment",
    "Criterion",
    "Judgement",
    "Membership",
    "Method",
    "Prompt",
    "Response",
    "Role",
    "Split",
    "Study",
    "Task",
    "TaskResponse",
]
