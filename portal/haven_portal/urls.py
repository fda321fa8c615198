"""Pages."""

from django.urls import path

from haven_portal import projects, views

urlpatterns = [
    path("", views.index),
    path("projects/", projects.projects),
    path("static/haven.css", views.style),
    path("static/theme.js", views.theme),
]
