from django.urls import path

from annotate.known_answers import views

urlpatterns = [path("studies/<slug:slug>/practice/", views.practice, name="practice")]
