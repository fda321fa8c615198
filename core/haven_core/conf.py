"""The process's settings, typed. Read at each call, so that tests can replace `settings.HAVEN`."""

from django.conf import settings

from haven_core.config import Config


def config() -> Config:
    """The `Config` this process was started with."""
    current: Config = settings.HAVEN
    return current
