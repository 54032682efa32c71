from django.urls import path

from annotate.web.rating import views

urlpatterns = [
    path("studies/<slug:slug>/rate/", views.rate, name="rate"),
    path("studies/<slug:slug>/rate/ahead/", views.ahead, name="rate-ahead"),
    path("assignments/<int:pk>/judge/", views.judge, name="judge"),
    path("assignments/<int:pk>/skip/", views.skip, name="skip"),
    path("assignments/<int:pk>/return/", views.give_back, name="give-back"),
    path("assignments/<int:pk>/draft/", views.draft, name="draft"),
]
