"""Counting statements, the same on both databases."""

from django.test.utils import CaptureQueriesContext

_FRAME = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SET LOCAL")


def work_of(captured: CaptureQueriesContext) -> list[str]:
    """What was said, without what begins and ends transactions: on PostgreSQL that goes with other statements."""
    said = [_without_frame(query["sql"]) for query in captured]
    return [text for text in said if text]


def _without_frame(text: str) -> str:
    while text.startswith(_FRAME):
        text = text.partition("; ")[2]
    return text
