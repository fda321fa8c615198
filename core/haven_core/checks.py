"""Whether what the core stands on answers."""

from django.db import connection

from haven_core.conf import config
from haven_core.health import register_check

_TIMEOUT_SECONDS = 2.0


def register_own_checks() -> None:
    """core, database, jobservice and redis. Redis may be away: it is broker and cache, and losing it loses nothing."""
    register_check("core", lambda: None)
    register_check("database", check_database)
    register_check("jobservice", check_workers)
    register_check("redis", check_redis, is_required=False)


def check_database() -> None:
    """Ask for nothing. Raises what Django raises."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_workers() -> None:
    """A Celery worker was alive within the last minute (jobs.ticking.WORKER_SILENCE). Without one nothing is collected,
    retained, counted or written into the audit log, though pulls and pushes go on. Raises RuntimeError, what Django
    raises."""
    from haven_core.jobs.selectors import list_workers  # models: the apps are ready only now

    if not list_workers():
        raise RuntimeError("no worker is alive")


def check_redis() -> None:
    """PING. Raises redis.RedisError."""
    import redis  # slow to import, and nothing else in a data plane process needs it at the start

    timeouts = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS}
    with redis.Redis.from_url(config().redis_url, **timeouts) as client:
        client.ping()
