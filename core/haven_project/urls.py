"""Every URL of the core process."""

from django.urls import URLPattern, URLResolver, include, path

from haven_api.views import sessions

handler400 = "haven_project.handlers.bad_request"
handler403 = "haven_project.handlers.forbidden"
handler404 = "haven_project.handlers.not_found"
handler500 = "haven_project.handlers.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("haven_api.urls")),
    path("c/login", sessions.Login.as_view()),
    path("c/log_out", sessions.LogOut.as_view()),
    path("c/userExists", sessions.UserExists.as_view()),
    path("", include("haven_portal.urls")),
]
