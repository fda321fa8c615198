"""Every URL of the core process."""

from django.urls import URLPattern, URLResolver, include, path

handler400 = "haven_api.errors.bad_request"
handler500 = "haven_api.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("haven_api.urls")),
    path("", include("haven_portal.urls")),
]
