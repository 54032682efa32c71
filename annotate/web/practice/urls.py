from django.urls import path

from annotate.web.practice import views

urlpatterns = [path("studies/<slug:slug>/practice/", views.practice, name="practice")]
