"""Pages."""

from django.urls import path

from haven_portal import views

urlpatterns = [
    path("", views.index),
    path("static/haven.css", views.style),
    path("static/theme.js", views.theme),
]
