"""Settings. Every choice of a deployment is an environment variable; docs/reference/settings.md lists them."""

import os
import sys
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONCE, NONE, SELF

from core.logs import configure
from palate.production import check_production, check_roles
from palate.secret_key import stored_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("PALATE_VAR") or BASE_DIR / "var").resolve()
MODELS_DIR = VAR_DIR / "models"
RUNS_DIR = VAR_DIR / "runs"


def _flag(name: str, default: bool) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


PRODUCTION = _flag("PRODUCTION", False)


# In production the key comes from the environment alone (palate.production).
SECRET_KEY = os.environ.get("SECRET_KEY", "") or ("" if PRODUCTION else stored_secret_key(VAR_DIR / "secret_key"))
DEBUG = _flag("DEBUG", False)
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("CSRF_TRUSTED_ORIGINS", "").split(",") if o]

INSTALLED_APPS = [
    "palate.operators_config.OperatorsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "palate",
    "annotate",
    "training",
]

MIDDLEWARE = [
    "palate.observability.observe",
    "palate.observability.probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "core.request_bodies.BodyLimits",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "annotate.web.sign_in.middleware.sessions",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "annotate.web.sign_in.middleware.attempts",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "annotate.sign_in.second_step.SecondStepMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "palate.headers.headers",
]

ROOT_URLCONF = "palate.urls"
WSGI_APPLICATION = "palate.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "palate.headers.oidc_name",
            ],
        },
    },
]

EMBEDDED_DATABASE: dict[str, Any] = {
    "ENGINE": "core.embedded_postgres",
    "NAME": "palate",
    "USER": "postgres",
    "DATA_DIR": VAR_DIR / "postgres",
    "PORT": "5432",
}
DATABASES: dict[str, Any] = {
    "default": dj_database_url.config() if os.environ.get("DATABASE_URL") else EMBEDDED_DATABASE,
}
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "annotate.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# No rule for passwords: Django tells it of every change of one.
AUTH_PASSWORD_VALIDATORS.append({"NAME": "annotate.members.passwords.EndTokens"})
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    # Asks for the second step.
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_ADAPTER = "annotate.web.members.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
# Failed attempts are counted by annotate.sign_in.counters; allauth's own limits live in a cache that anybody can fill.
ACCOUNT_RATE_LIMITS = False
ACCOUNT_FORMS = {"change_password": "annotate.web.sign_in.forms.CountedChangePasswordForm"}
MFA_FORMS = {
    "activate_totp": "annotate.web.sign_in.forms.ActivateForm",
    "authenticate": "annotate.web.sign_in.forms.CountedAuthenticateForm",
    "reauthenticate": "annotate.web.sign_in.forms.CountedReauthenticateForm",
}
# Failures of an account and of a network until the next attempt has to wait, and the longest wait in seconds.
SIGN_IN_FAILURES = int(os.environ.get("SIGN_IN_FAILURES", "5"))
SIGN_IN_NETWORK_FAILURES = int(os.environ.get("SIGN_IN_NETWORK_FAILURES", "20"))
SIGN_IN_MAX_WAIT = int(os.environ.get("SIGN_IN_MAX_WAIT", "900"))
ALLAUTH_TRUSTED_PROXY_COUNT = int(_flag("TRUSTED_PROXY", False))
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Palate"
MFA_ADAPTER = "annotate.sign_in.encryption.MFAAdapter"
# Roles, and superuser, whose accounts must have a second step.
REQUIRE_SECOND_STEP = check_roles([role for role in os.environ.get("REQUIRE_SECOND_STEP", "").split(",") if role])
# What encrypts stored secrets: the first of these, or else SECRET_KEY; all of them decrypt.
FIELD_ENCRYPTION_KEYS = [key for key in os.environ.get("FIELD_ENCRYPTION_KEY", "").split(",") if key]
# A session in which nothing was asked for this long ends; 0 for never.
SESSION_IDLE_MINUTES = int(os.environ.get("SESSION_IDLE_MINUTES", "480"))
# Sign-in through the organisation's OpenID Connect provider, where one is named.
OIDC_SERVER_URL = os.environ.get("OIDC_SERVER_URL", "")
OIDC_NAME = os.environ.get("OIDC_NAME", "OpenID Connect")
OIDC_NEW_ACCOUNTS = _flag("OIDC_NEW_ACCOUNTS", False)
SOCIALACCOUNT_ADAPTER = "annotate.web.members.adapters.SocialAccountAdapter"
SOCIALACCOUNT_OPENID_CONNECT_URL_PREFIX = "oidc"
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": OIDC_NAME,
                "client_id": os.environ.get("OIDC_CLIENT_ID", ""),
                "secret": os.environ.get("OIDC_CLIENT_SECRET", ""),
                "settings": {"server_url": OIDC_SERVER_URL},
            }
        ]
        if OIDC_SERVER_URL
        else [],
    }
}
# The default holds codes of the second step that were used, so that none is taken twice: only who gives a right one
# writes to it. The API counts its requests in each process.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "palate_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
# A link to a new password holds for a day.
PASSWORD_RESET_TIMEOUT = 24 * 3600
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "studies"

LANGUAGE_CODE = "en"
# Each under its own name, for whoever cannot read the others.
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["palate.formats"]
# A choice made on a page; until then the browser's languages decide.
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
TIME_ZONE = os.environ.get("TZ", "UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
# Once `manage.py collectstatic` has run, as gunicorn does at its start, names carry a hash and browsers keep the files;
# until then they are served from where they lie.
WHITENOISE_USE_FINDERS = True
if (STATIC_ROOT / "staticfiles.json").exists() or sys.argv[1:2] == ["collectstatic"]:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "core.static_files.HashedStaticFiles"},
    }

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # A nonce is made for the answer that uses one; nothing inline runs without.
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _flag("SECURE_COOKIES", False)
SECURE_SSL_REDIRECT = _flag("SECURE_SSL_REDIRECT", False)
SESSION_COOKIE_HTTPONLY = True
SESSION_ENGINE = "annotate.sign_in.session_store"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Bytes of a body: of strangers, and of ordinary forms, which are kept in memory; see core.request_bodies. A rater's
# largest answer is a rewrite of 100,000 characters.
BODY_MAX_ANONYMOUS, BODY_MAX_FORM = 64 * 1024, 2 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = BODY_MAX_FORM
API_MAX_MB = int(os.environ.get("API_MAX_MB", "16"))

# Folders below which models may lie, with : between them; unset, anything that a command names.
MODEL_ROOTS = [root for root in os.environ.get("MODEL_ROOTS", "").split(":") if root]
# Folders and hub names, with commas between them, that pages offer to start from along with registered models.
BASE_MODELS = [name.strip() for name in os.environ.get("BASE_MODELS", "").split(",") if name.strip()]
# Uploads, ended deliveries and expired tokens are deleted after so many days.
KEEP_TECHNICAL_DAYS = int(os.environ.get("KEEP_TECHNICAL_DAYS", "30"))
# What one member, and what one study, may have stored of uploads; an upload that no run will read goes sooner.
UPLOAD_QUOTA_MB = int(os.environ.get("UPLOAD_QUOTA_MB", "4096"))
UNUSED_UPLOAD_HOURS = float(os.environ.get("UNUSED_UPLOAD_HOURS", "24"))
# What an import may bring, in MB where nothing else is said: the file, its text, text to file, rows, columns, a cell,
# seconds to read it.
IMPORT_MAX_MB = int(os.environ.get("IMPORT_MAX_MB", "2048"))
IMPORT_MAX_TEXT_MB = int(os.environ.get("IMPORT_MAX_TEXT_MB", "20480"))
IMPORT_MAX_RATIO = int(os.environ.get("IMPORT_MAX_RATIO", "100"))
IMPORT_MAX_ROWS = int(os.environ.get("IMPORT_MAX_ROWS", "20000000"))
IMPORT_MAX_COLUMNS = int(os.environ.get("IMPORT_MAX_COLUMNS", "1000"))
IMPORT_MAX_CELL_MB = int(os.environ.get("IMPORT_MAX_CELL_MB", "16"))
IMPORT_MAX_SECONDS = float(os.environ.get("IMPORT_MAX_SECONDS", "1800"))
IMPORT_MEMORY_MB = int(os.environ.get("IMPORT_MEMORY_MB", "2048"))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["annotate.api.access.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["annotate.api.access.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["annotate.api.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["annotate.api.throttle.RequestsAMinute"],
    "DEFAULT_THROTTLE_RATES": {"user": os.environ.get("API_RATE", "1200/min")},
    "EXCEPTION_HANDLER": "annotate.api.base.error_handler",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Palate",
    "DESCRIPTION": "Studies, prompts, responses, judgements, exports, runs and models of human preferences.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/icon.svg",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False},
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "annotate.api.schema.with_errors"],
    "ENUM_NAME_OVERRIDES": {
        "SplitEnum": "annotate.models.prompts.Split",
        "MethodEnum": "annotate.models.studies.Method",
        "RunKindEnum": "training.models.RunKind",
        "ModelKindEnum": "training.models.ModelKind",
        "RunStateEnum": "training.models.RunState",
        "PartEnum": "annotate.models.tasks.Part",
        "EventEnum": "annotate.models.webhooks.Event",
    },
}
# Addresses of webhooks that lie in private networks, and plain http, are refused unless this is set.
WEBHOOKS_ALLOW_PRIVATE = _flag("WEBHOOKS_ALLOW_PRIVATE", False)

# A message carries only the id of a run; the Run row is the truth. Long runs are acknowledged early: a
# worker that dies is noticed by its missing heartbeat (training.runs.queue.requeue_lost_runs), not by the broker.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A worker waits for its broker as long as it takes.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A page that queues a run never waits for a broker that is away: the Run row is sent again later.
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
TASK_QUEUE_APP = "palate.celery.app"
CELERY_TASK_DEFAULT_QUEUE = "runs"
CELERY_BEAT_SCHEDULE = {
    "requeue-lost-runs": {
        "task": "runs.requeue_lost",
        "schedule": 30.0,
        "options": {"queue": "short"},
    },
    "apply-retention": {
        "task": "privacy.apply_retention",
        "schedule": 86400.0,
        "options": {"queue": "short"},
    },
    "deliver-webhooks": {
        "task": "webhooks.deliver",
        "schedule": 60.0,
        "options": {"queue": "webhooks"},
    },
}
CELERY_TASK_ROUTES = {
    "runs.execute_quick": {"queue": "quick"},
    "runs.requeue_lost": {"queue": "short"},
    # Addresses that never answer hold up each other at most: a queue and workers of their own.
    "webhooks.deliver": {"queue": "webhooks"},
    "privacy.apply_retention": {"queue": "short"},
}
# An OpenAI-compatible server that may judge pairs (training.jobs.machine_judge), up to and with /v1.
JUDGE_URL = os.environ.get("JUDGE_URL", "")
JUDGE_KEY = os.environ.get("JUDGE_KEY", "")

RUN_HEARTBEAT_SECONDS = 5
RUN_LOST_AFTER_SECONDS = int(os.environ.get("RUN_LOST_AFTER_SECONDS", "60"))
# A broker that lost its memory lost the messages of waiting runs: they are sent again after so long.
RUN_RESEND_SECONDS = int(os.environ.get("RUN_RESEND_SECONDS", "600"))

LOGGING = configure(level=os.environ.get("LOG_LEVEL", "WARNING"), form=os.environ.get("LOG_FORMAT", "line"))
METRICS_TOKEN = os.environ.get("METRICS_TOKEN", "")
PROMETHEUS_MULTIPROC_DIR = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")

if PRODUCTION:
    check_production(SECRET_KEY, debug=DEBUG, hosts=ALLOWED_HOSTS, database=os.environ.get("DATABASE_URL", ""))
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = int(os.environ.get("SECURE_HSTS_SECONDS", "31536000"))
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    # A browser's preload list is hard to leave and binds every subdomain: nobody is put on it unasked.
    SECURE_HSTS_PRELOAD = _flag("SECURE_HSTS_PRELOAD", False)
    SILENCED_SYSTEM_CHECKS = ["security.W021"]
    # Prometheus asks the process itself, without the proxy and its https.
    SECURE_REDIRECT_EXEMPT = ["^metrics$"]
    ALLOWED_HOSTS.append("localhost")
if _flag("TRUSTED_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
