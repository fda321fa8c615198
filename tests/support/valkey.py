"""The commands of Valkey that the draining of pulls uses."""

from collections.abc import Sequence
from typing import Any


class FakeValkey:
    """One list, and values that never end."""

    def __init__(self, *texts: bytes) -> None:
        self.texts = list(texts)
        self.values: dict[str, bytes] = {}

    def rpush(self, name: str, text: str) -> None:
        self.texts.append(text.encode())

    def lrange(self, name: str, first: int, last: int) -> list[bytes]:
        return self.texts[first : last + 1]

    def lrem(self, name: str, count: int, value: bytes) -> None:
        if value in self.texts:
            self.texts.remove(value)

    def mget(self, names: Sequence[str]) -> list[bytes | None]:
        return [self.values.get(name) for name in names]

    def set(self, name: str, value: str, *, ex: int) -> None:
        assert ex > 0
        self.values[name] = value.encode()

    def pipeline(self, *, transaction: bool) -> "FakeValkey":
        return self

    def execute(self) -> None:
        """All is done."""

    def __enter__(self) -> "FakeValkey":
        return self

    def __exit__(self, *_: Any) -> None:
        """Nothing to give back."""
