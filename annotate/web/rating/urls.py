from django.urls import path

from annotate.web.rating import views

urlpatterns = [
    path("studies/<slug:slug>/rate/", views.rate, name="rate"),
    path("studies/<slug:slug>/rate/prefetch/", views.ahead, name="rate-prefetch"),
    path("assignments/<int:pk>/judge/", views.judge, name="judge"),
    path("assignments/<int:pk>/skip/", views.skip, name="skip"),
    path("assignments/<int:pk>/return/", views.release_lease, name="release"),
    path("assignments/<int:pk>/draft/", views.draft, name="draft"),
]
