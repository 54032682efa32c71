from django.urls import path

from annotate.web.review import views

urlpatterns = [
    path("studies/<slug:slug>/review/", views.review, name="review"),
    path("studies/<slug:slug>/tasks/<int:pk>/resolve/", views.resolve_flags, name="resolve-flags"),
    path("studies/<slug:slug>/tasks/<int:pk>/decide/", views.decide, name="decide"),
    path("studies/<slug:slug>/known-answers/new/", views.new_known_answer, name="known-answer-new"),
    path("studies/<slug:slug>/known-answers/upload/", views.upload_known, name="known-answer-upload"),
    path("studies/<slug:slug>/tasks/<int:pk>/known-answer/", views.known_answer, name="known-answer"),
    path("studies/<slug:slug>/tasks/<int:pk>/take-out/", views.take_out_known, name="known-answer-take-out"),
]
