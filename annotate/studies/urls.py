from django.urls import path

from annotate.studies import views_list, views_manage

urlpatterns = [
    path("", views_list.studies, name="studies"),
    path("studies/new/", views_manage.create, name="study-create"),
    path("studies/<slug:slug>/", views_manage.overview, name="study-overview"),
    path("studies/<slug:slug>/settings/", views_manage.settings, name="study-settings"),
    path("studies/<slug:slug>/members/", views_manage.members, name="study-members"),
    path("studies/<slug:slug>/members/<int:pk>/remove/", views_manage.remove, name="study-member-remove"),
]
