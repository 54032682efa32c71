from django.urls import path

from annotate.web.review import views

urlpatterns = [
    path("studies/<slug:slug>/review/", views.review, name="review"),
    path("studies/<slug:slug>/tasks/<int:pk>/resolve/", views.resolve_flags, name="resolve-flags"),
    path("studies/<slug:slug>/tasks/<int:pk>/decide/", views.decide, name="decide"),
    path("studies/<slug:slug>/gold/new/", views.new_known_answer, name="gold-new"),
    path("studies/<slug:slug>/gold/upload/", views.upload_known, name="gold-upload"),
    path("studies/<slug:slug>/tasks/<int:pk>/gold/", views.known_answer, name="gold"),
    path("studies/<slug:slug>/tasks/<int:pk>/retire/", views.retire_gold_task, name="gold-retire"),
]
