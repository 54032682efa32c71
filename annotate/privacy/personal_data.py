"""Everything that is stored about a person, as JSON: for the person, or for an administrator on request.

Known answers and what a task was for are left out: a rater could tell checks from other tasks by them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from annotate.audit.operations import record
from annotate.models.accounts import User
from annotate.models.audit import Action
from annotate.models.choices import Part
from annotate.models.judgements import Judgement
from annotate.models.prompts import Response


@dataclass(frozen=True)
class Section:
    """Rows of a model that belong to the person by the field `owner`, with these of their fields."""

    model: str
    owner: str
    fields: tuple[str, ...]


TASK = ("task__study__slug", "task", "task__prompt__external_id")
ANSWER = ("shown", "ranks", "scores", "strength", "unacceptable", "label", "confidence", "comment")
SECTIONS = {
    "changes_as_operator": Section(
        "admin.LogEntry", "user", ("action_time", "action_flag", "object_repr", "change_message")
    ),
    "memberships": Section(
        "annotate.Membership",
        "user",
        (
            *(
                "id",
                "study__slug",
                "study__name",
                "role",
                "active",
                "tags",
                "declared_group",
                "status",
                "quiz_passed",
            ),
            *("instructions_read", "consented_version", "consented_at", "made_account", "created_at"),
        ),
    ),
    "judgements": Section(
        "annotate.Judgement",
        "rater__user",
        ("id", *TASK, *ANSWER, "instructions_version", "seconds", "device", "live", "supersedes", "made_at"),
    ),
    "assignments": Section(
        "annotate.Assignment",
        "rater__user",
        ("id", *TASK, "state", "leased_at", "expires_at", "ended_at", "skip_reason", "draft"),
    ),
    "flags": Section("annotate.Flag", "rater__user", ("id", *TASK, "kind", "details", "made_at", "resolved_at")),
    "log_entries": Section("annotate.Entry", "user", ("study__slug", "actor", "action", "subject", "details", "at")),
    "runs_started": Section("training.Run", "created_by", ("id", "study__slug", "kind", "created_at")),
    "models_promoted": Section(
        "training.ModelVersion", "promoted_by", ("id", "study__slug", "name", "promoted_because")
    ),
    "api_tokens": Section(
        "annotate.ApiToken", "user", ("name", "start", "scopes", "created_at", "expires_at", "last_used_at")
    ),
    "api_requests": Section("annotate.IdempotencyKey", "user", ("key", "created_at")),
    "sessions": Section("usersessions.UserSession", "user", ("ip", "user_agent", "created_at", "last_seen_at")),
    "failed_sign_ins": Section("annotate.FailureCounter", "user", ("kind", "failures", "failed_at")),
    "second_steps": Section("mfa.Authenticator", "user", ("type", "created_at", "last_used_at")),
    "email_addresses": Section("account.EmailAddress", "user", ("email", "verified", "primary")),
    "provider_accounts": Section(
        "socialaccount.SocialAccount", "user", ("provider", "uid", "extra_data", "date_joined", "last_login")
    ),
}
ACCOUNT = (
    *("username", "first_name", "last_name", "email", "date_joined", "last_login"),
    *("is_active", "is_staff", "is_superuser"),
)


@transaction.atomic
def export_personal_data(*, user: User, actor: User | None) -> Iterator[str]:
    """Everything stored about the account as JSON, in pieces; on record in its studies. actor: None for a command."""
    for member in user.memberships.select_related("study"):
        details = {"member": member.pseudonym}
        record(study=member.study, user=actor, action=Action.EXPORTED, subject="personal data", **details)
    record(study=None, user=actor, action=Action.EXPORTED, subject="personal data", of=user.username)
    return _as_json(user)


def _as_json(user: User) -> Iterator[str]:
    yield f'{{\n"account": {_json({name: getattr(user, name) for name in ACCOUNT})}'
    sections = {name: _rows(section, user) for name, section in SECTIONS.items()}
    for name, rows in {**sections, "better_versions": _better_versions(user)}.items():
        yield f',\n"{name}": ['
        for number, row in enumerate(rows):
            yield f"{',' if number else ''}\n{_json(row)}"
        yield "]"
    yield "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def _rows(section: Section, user: User) -> Iterator[dict[str, Any]]:
    rows = apps.get_model(section.model)._default_manager.filter(**{section.owner: user.pk}).order_by("pk")
    for row in rows.values(*section.fields).iterator():
        yield {name.replace("__", "_"): value for name, value in row.items()}


def _better_versions(user: User) -> Iterator[dict[str, Any]]:
    """The texts that the person wrote in the place of responses."""
    for judgement in Judgement.objects.filter(rater__user=user, part=Part.REWRITE).order_by("pk").iterator():
        own = judgement.shown[(judgement.ranks or [1]).index(1)]
        text = Response.objects.filter(pk=own).values_list("text", flat=True).first()
        yield {"judgement": judgement.pk, "written_with": judgement.source_id, "text": text}
