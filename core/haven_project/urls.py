"""Every URL of the core process."""

from django.urls import URLPattern, URLResolver, include, path

from haven_api.views import sessions

handler400 = "haven_api.errors.bad_request"
handler500 = "haven_api.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("haven_api.urls")),
    path("c/login", sessions.Login.as_view()),
    path("c/log_out", sessions.LogOut.as_view()),
    path("c/userExists", sessions.UserExists.as_view()),
    path("", include("haven_portal.urls")),
]
