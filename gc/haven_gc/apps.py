"""Django's view of this room."""

from django.apps import AppConfig


class GcConfig(AppConfig):
    """Removal."""

    name = "haven_gc"
    label = "gc"

    def ready(self) -> None:
        from haven_gc import job, purge_audit, scrub
        from haven_gc.retention import run

        for module in (job, purge_audit, scrub, run):
            module.register()
