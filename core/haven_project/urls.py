"""Every URL of the core process."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("haven_api.urls")),
    path("", include("haven_portal.urls")),
]
