"""Django's settings, derived from haven_core.config. Nothing here reads the environment."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from haven_core.config import Config, load_config

HAVEN: Config = load_config()


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",  # one writer at a time, decided at BEGIN: no "locked" on an upgrade
                "timeout": 60,  # writers are not fair to each other: at 32 of them the slowest waits three seconds
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768;",
            },
            "CONN_MAX_AGE": None,
        }
    from haven_core.db.postgresql import Connection, Cursor  # the driver loads a library: not for SQLite

    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": options.pop("port", str(parts.port or "")),
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "haven",
            "connection_factory": Connection,
            "cursor_factory": Cursor,
            **options,
        },
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,  # they would need a connection of their own
    }


SECRET_KEY = HAVEN.secret_key
DEBUG = HAVEN.debug
ALLOWED_HOSTS = ["*"]  # Host is no authority here: the external URL is a setting, and redirects are relative
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_COOKIE_NAME = "haven_language"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "haven_portal",  # first: its translations go before those of packages
    "rest_framework",
    "haven_core",
    "haven_registry",
    "haven_gc",
    "haven_api",
]
MIDDLEWARE = [
    "haven_api.middleware.RequestId",
    "haven_api.middleware.GoneForEverybody",
    "haven_api.middleware.HarborPaths",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "haven_api.csrf.CrossSiteGuard",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "haven_project.urls"
APPEND_SLASH = False  # /v2 and /api answer what was asked, they never redirect
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {}}]
DATABASES = {"default": _database(HAVEN.database_url)}
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

PASSWORD_HASHERS = ["haven_core.accounts.passwords.Hasher"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "haven_api.authentication.BasicAuthentication",
        "haven_api.authentication.SessionAuthentication",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "haven_api.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "haven_api.openapi.HavenSchema",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
SPECTACULAR_SETTINGS = {
    "PATH_CONVERTER_OVERRIDES": {"id": int},
    "TITLE": "Haven",
    "DESCRIPTION": "Harbor's API v2.0, and what Haven adds.",
    "VERSION": "2.0",
    "SCHEMA_PATH_PREFIX": "/api/v2.0",
    "DISABLE_ERRORS_AND_WARNINGS": True,  # a view that says nothing of its answers is described as any JSON
}

CELERY_BROKER_URL = HAVEN.broker_url

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": HAVEN.log_level},
}
