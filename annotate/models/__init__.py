"""The tables of the web app, gathered from its slices so that Django finds them."""

from annotate.models.accounts import User
from annotate.models.api import ApiToken, IdempotencyKey
from annotate.models.audit import Entry
from annotate.models.choices import Role
from annotate.models.gold import KnownAnswer
from annotate.models.instructions import InstructionsVersion
from annotate.models.judgements import Judgement
from annotate.models.machine_judges import MachineVerdict
from annotate.models.members import Invitation, Membership
from annotate.models.privacy import ConsentVersion
from annotate.models.prompts import Prompt, Response, Split
from annotate.models.review import Flag
from annotate.models.sign_in import FailureCounter
from annotate.models.studies import Criterion, Method, Study
from annotate.models.tasks import Assignment, Task, TaskResponse
from annotate.models.webhooks import Delivery, Webhook

__all__ = [
    "ApiToken",
    "Assignment",
    "ConsentVersion",
    "Criterion",
    "Delivery",
    "Entry",
    "FailureCounter",
    "Flag",
    "IdempotencyKey",
    "InstructionsVersion",
    "Invitation",
    "Judgement",
    "KnownAnswer",
    "MachineVerdict",
    "Membership",
    "Method",
    "Prompt",
    "Response",
    "Role",
    "Split",
    "Study",
    "Task",
    "TaskResponse",
    "User",
    "Webhook",
]
