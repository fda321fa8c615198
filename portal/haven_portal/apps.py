"""Django's view of this room."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The web UI."""

    name = "haven_portal"
    label = "portal"

    def ready(self) -> None:
        from haven_core.health import register_check
        from haven_portal.assets import assets

        register_check("portal", lambda: None if assets() else None)
