from django.urls import path

from annotate.web.machine_judges import views

urlpatterns = [
    path("studies/<slug:slug>/quality/machines/", views.machines, name="machines"),
    path("studies/<slug:slug>/quality/machines.<str:file_type>", views.machines_file, name="machines-file"),
]
