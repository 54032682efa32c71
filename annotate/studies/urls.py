from django.urls import path

from annotate.studies import views_create, views_list, views_manage

urlpatterns = [
    path("", views_list.studies, name="studies"),
    path("studies/new/", views_create.create, name="study-create"),
    path("studies/new/<slug:key>/demo/", views_create.create_demo, name="study-create-demo"),
    path("studies/preview/", views_create.preview_new, name="study-create-preview"),
    path("studies/<slug:slug>/", views_manage.overview, name="study-overview"),
    path("studies/<slug:slug>/settings/", views_manage.settings, name="study-settings"),
    path("studies/<slug:slug>/scales/", views_manage.add_scale, name="study-add-scale"),
    path("studies/<slug:slug>/imported/open/", views_manage.open_imported_tasks, name="study-open-imported"),
    path("studies/<slug:slug>/preview/", views_manage.preview_settings, name="study-preview"),
    path("studies/<slug:slug>/state/", views_manage.change_state, name="study-state"),
]
