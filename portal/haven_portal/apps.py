"""Django's view of this room."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The web UI."""

    name = "haven_portal"
    label = "portal"
