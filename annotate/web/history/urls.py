from django.urls import path

from annotate.web.history import views

urlpatterns = [
    path("studies/<slug:slug>/history/", views.history, name="history"),
    path("studies/<slug:slug>/undo/", views.undo, name="undo"),
    path("judgements/<int:pk>/correct/", views.correct, name="correct"),
]
