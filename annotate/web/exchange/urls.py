from django.urls import path

from annotate.web.exchange import views

urlpatterns = [
    path("studies/<slug:slug>/export/", views.choose, name="export-choose"),
    path("studies/<slug:slug>/export/<str:form>.<str:file_type>", views.export, name="export"),
]
