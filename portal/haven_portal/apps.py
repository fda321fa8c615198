"""Django's view of this room."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The web UI."""

    name = "haven_portal"
    label = "portal"

    def ready(self) -> None:
        from haven_core.health import register_check

        register_check("portal", _check_files)


def _check_files() -> None:
    from haven_portal.assets import assets  # makes them once; not at start

    assets()
