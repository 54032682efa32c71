"""Secrets of second steps lie encrypted in the database."""

from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core.management import CommandError, call_command

from annotate.models.audit import Entry
from annotate.models.webhooks import Webhook
from annotate.privacy.retention import apply_retention
from annotate.webhooks.operations import add_webhook
from core.encryption import decrypt, encrypt
from core.errors import PalateError
from tests.factories import StudyFactory, UserFactory

pytestmark = pytest.mark.django_db


def stored():
    return list(Authenticator.objects.order_by("pk").values_list("data", flat=True))


def with_a_second_step():
    user, secret = UserFactory(), totp.generate_totp_secret()
    totp.TOTP.activate(user, secret)
    return secret, RecoveryCodes.activate(user).generate_codes()


def opens(secret, codes):
    """Whether the stored secrets are still these."""
    by_type = {row.type: row.wrap() for row in Authenticator.objects.all()}
    counter = next(totp.yield_hotp_counters_from_time())
    code = totp.format_hotp_value(totp.hotp_value(secret, counter))
    return by_type["totp"].validate_code(code) and by_type["recovery_codes"].generate_codes() == codes


@pytest.mark.parametrize("keys", [[], ["a key"], ["new", "a key"]])
def test_nothing_is_stored_in_plain_text(settings, keys):
    settings.FIELD_ENCRYPTION_KEYS = keys
    secret, codes = with_a_second_step()
    assert all(value.startswith("fernet:") for row in stored() for name, value in row.items() if name != "used_mask")
    assert secret not in str(stored())
    assert opens(secret, codes)


def test_what_was_stored_in_plain_text_works_and_is_encrypted_by_the_daily_task():
    secret, codes = with_a_second_step()
    for row in Authenticator.objects.all():
        row.data = {name: decrypt(value) if isinstance(value, str) else value for name, value in row.data.items()}
        row.save()
    assert secret in str(stored())
    assert apply_retention()["secrets_encrypted"] == 2
    assert apply_retention()["secrets_encrypted"] == 0
    assert secret not in str(stored())
    assert opens(secret, codes)


def test_keys_are_changed_in_two_steps(settings):
    secret, codes = with_a_second_step()  # with SECRET_KEY
    settings.FIELD_ENCRYPTION_KEYS = ["first"]
    call_command("encrypt_secrets", stdout=StringIO())
    settings.SECRET_KEY = "another one"
    settings.FIELD_ENCRYPTION_KEYS = ["second", "first"]
    out = StringIO()
    call_command("encrypt_secrets", stdout=out)
    assert out.getvalue() == "encrypted: 2\n"
    assert Entry.objects.filter(study=None, subject="encryption of secrets", details={"secrets": 2}).count() == 2
    settings.FIELD_ENCRYPTION_KEYS = ["second"]
    assert opens(secret, codes)


def test_secrets_of_webhooks_are_encrypted_like_those_of_second_steps(settings):
    hook = add_webhook(study=StudyFactory(), url="https://93.184.216.34/", events=["run.ended"])
    plain = hook.signing_key
    settings.FIELD_ENCRYPTION_KEYS = ["first"]
    out = StringIO()
    call_command("encrypt_secrets", stdout=out)
    assert out.getvalue() == "encrypted: 1\n"
    settings.SECRET_KEY = "another one"
    hook.refresh_from_db()
    assert hook.secret.startswith("fernet:")
    assert hook.signing_key == plain


def test_secrets_of_webhooks_stored_in_plain_text_are_encrypted_by_the_daily_task():
    hook = Webhook.objects.create(study=StudyFactory(), url="https://example.org/", secret="plain", events=[])
    assert hook.signing_key == "plain"
    assert apply_retention()["secrets_encrypted"] == 1
    hook.refresh_from_db()
    assert hook.secret.startswith("fernet:")
    assert hook.signing_key == "plain"


def test_a_lost_key_is_said_and_changes_nothing(settings):
    settings.FIELD_ENCRYPTION_KEYS = ["first"]
    with_a_second_step()
    before = stored()
    settings.FIELD_ENCRYPTION_KEYS = ["second"]
    with pytest.raises(CommandError, match="FIELD_ENCRYPTION_KEY"):
        call_command("encrypt_secrets")
    assert stored() == before


def test_the_same_text_is_never_stored_alike():
    assert encrypt("x") != encrypt("x")
    with pytest.raises(PalateError):
        decrypt("fernet:made-up")
