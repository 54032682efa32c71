from django.urls import path

from annotate.web.studies import list_views, manage_views

urlpatterns = [
    path("", list_views.studies, name="studies"),
    path("studies/<slug:slug>/settings/", manage_views.settings, name="study-settings"),
    path("studies/<slug:slug>/scales/", manage_views.add_scale, name="study-add-scale"),
    path("studies/<slug:slug>/imported/open/", manage_views.open_imported_tasks, name="study-open-imported"),
    path("studies/<slug:slug>/preview/", manage_views.preview_settings, name="study-preview"),
    path("studies/<slug:slug>/state/", manage_views.change_state, name="study-state"),
]
