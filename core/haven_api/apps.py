"""Django's view of this room."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """REST."""

    name = "haven_api"
    label = "api"
