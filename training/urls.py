from django.urls import path

from training import views_deletion, views_exchange, views_models, views_runs

urlpatterns = [
    path("studies/<slug:slug>/delete/", views_deletion.delete, name="study-delete"),
    path("studies/<slug:slug>/runs/", views_runs.runs, name="runs"),
    path("studies/<slug:slug>/runs/new/<str:kind>/", views_runs.start, name="run-start"),
    path("runs/<int:pk>/", views_runs.run, name="run"),
    path("runs/<int:pk>/beside/<int:other>/", views_runs.run_beside, name="run-beside"),
    path("runs/<int:pk>/live/", views_runs.live, name="run-live"),
    path("runs/<int:pk>/cancel/", views_runs.cancel, name="run-cancel"),
    path("runs/<int:pk>/resend/", views_runs.resend, name="run-resend"),
    path("studies/<slug:slug>/models/", views_models.models, name="models"),
    path("studies/<slug:slug>/models/<int:pk>/", views_models.model, name="model"),
    path("studies/<slug:slug>/models/<int:pk>/promote/", views_models.promote, name="model-promote"),
    path("studies/<slug:slug>/models/<int:pk>/why/", views_models.why, name="model-why"),
    path("studies/<slug:slug>/models/<int:pk>/rewards/", views_models.rewards, name="model-rewards"),
    path("studies/<slug:slug>/rounds/<int:number>/", views_models.turn, name="round"),
    path("studies/<slug:slug>/exchange/", views_exchange.exchange, name="exchange"),
    path("studies/<slug:slug>/exchange/prompts/", views_exchange.upload_prompts, name="import-prompts"),
    path("studies/<slug:slug>/exchange/file/", views_exchange.upload_preferences, name="import-preferences"),
    path("studies/<slug:slug>/exchange/judgements/", views_exchange.upload_judgements, name="import-judgements"),
]
