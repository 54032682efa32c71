"""What must hold before Palate serves strangers. Imported by the settings, so it imports none of Django's apps."""

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

ROLES = ("superuser", "owner", "manager", "auditor", "rater")
# Words of keys that people copy from examples.
KNOWN = ("django-insecure", "changeme", "change-me", "secret", "example", "palate", "password")


def check_production(key: str, *, debug: bool, hosts: Sequence[str], database: str) -> None:
    """Raises ImproperlyConfigured, which ends the process, when a setting is missing or somebody's default."""
    if len(key) < 50 or len(set(key)) < 10 or any(word in key.lower() for word in KNOWN):
        raise ImproperlyConfigured(
            "SECRET_KEY: in production it must come from the environment and be at least 50 random characters, such as "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))' prints"
        )
    if debug:
        raise ImproperlyConfigured("DEBUG: must be off in production")
    if "*" in hosts or not set(hosts) - {"localhost", "127.0.0.1", "[::1]", ""}:
        raise ImproperlyConfigured("ALLOWED_HOSTS: in production it must name the hosts that Palate is reached by")
    if not database:
        raise ImproperlyConfigured(
            "DATABASE_URL: in production it must name the PostgreSQL database, such as "
            "postgres://palate:…@host:5432/palate"
        )


def check_roles(given: Sequence[str]) -> list[str]:
    """Return the roles of REQUIRE_SECOND_STEP; raises ImproperlyConfigured for a word that is none."""
    roles = [role.strip() for role in given]
    if unknown := [role for role in roles if role not in ROLES]:
        raise ImproperlyConfigured(
            f"REQUIRE_SECOND_STEP: {unknown[0]!r} is no role; expected some of {', '.join(ROLES)}"
        )
    return roles
