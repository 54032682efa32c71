from django.urls import path

from annotate.web.instructions import views

urlpatterns = [path("studies/<slug:slug>/instructions/", views.instructions, name="instructions")]
