"""The tables of the web app, gathered from its slices so that Django finds them."""

from annotate.api.models import ApiToken, IdempotencyKey
from annotate.audit.models import Entry
from annotate.instructions.models import InstructionsVersion
from annotate.judgements.models import Judgement
from annotate.known_answers.models import KnownAnswer
from annotate.machines.models import MachineVerdict
from annotate.members.models import Invitation, Membership, Role
from annotate.privacy.models import ConsentVersion
from annotate.prompts.models import Prompt, Response, Split
from annotate.review.models import Flag
from annotate.sign_in.models import FailureCounter
from annotate.studies.models import Criterion, Method, Study
from annotate.tasks.models import Assignment, Task, TaskResponse
from annotate.webhooks.models import Delivery, Webhook

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
    "Webhook",
]
