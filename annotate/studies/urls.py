from django.urls import path

from annotate.studies import views_list

urlpatterns = [
    path("", views_list.studies, name="studies"),
]
