"""Harbor's schedules: cron with six fields (second minute hour day month weekday, UTC), and its words for common ones."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from haven_core.errors import BadRequest

# Harbor's portal sends these along with the word; a client that sends the word alone means the same
WORDS = {"Hourly": "0 0 * * * *", "Daily": "0 0 0 * * *", "Weekly": "0 0 0 * * 0"}
CUSTOM = "Custom"
_FIELDS = 6
_MAX_LENGTH = 128


def checked_cron(word: str, cron: str) -> str:
    """The expression of a schedule as it is stored. Raises BadRequest for one that can't be read or never comes."""
    text = " ".join((cron or WORDS.get(word, "")).split())
    if not text:
        raise BadRequest("empty cron string for the schedule")
    if len(text) > _MAX_LENGTH or len(text.split(" ")) != _FIELDS:
        raise BadRequest(
            f"invalid cron string {text[:_MAX_LENGTH]!r}: it takes {_FIELDS} fields, beginning with seconds"
        )
    next_fire(text, datetime.now(UTC))
    return text


def next_fire(cron: str, after: datetime) -> datetime:
    """The first moment later than `after`, to the second, in UTC. Raises BadRequest."""
    try:
        return next(CronSim(cron.replace("?", "*"), after.astimezone(UTC)))
    except (CronSimError, StopIteration) as error:
        raise BadRequest(f"invalid cron string {cron!r}: {error}") from None
