from django.urls import path

from annotate.web.standings import views

urlpatterns = [
    path("studies/<slug:slug>/standings/", views.page, name="standings"),
    path("studies/<slug:slug>/standings.<str:file_type>", views.download, name="standings-file"),
]
