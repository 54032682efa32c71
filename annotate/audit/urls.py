from django.urls import path

from annotate.audit import views

urlpatterns = [path("studies/<slug:slug>/log/", views.audit, name="audit")]
