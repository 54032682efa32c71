from django.urls import path

from annotate.quality import views

urlpatterns = [path("studies/<slug:slug>/work/", views.work, name="work")]
