from django.urls import path

from annotate.tasks import views

urlpatterns = [
    path("studies/<slug:slug>/rate/", views.rate, name="rate"),
    path("assignments/<int:pk>/judge/", views.judge, name="judge"),
    path("assignments/<int:pk>/skip/", views.skip, name="skip"),
    path("assignments/<int:pk>/return/", views.give_back, name="give-back"),
]
