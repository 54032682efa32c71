from django.urls import path

from training.web import (
    create_study_views,
    exchange_views,
    model_views,
    overview_views,
    run_views,
    study_deletion_views,
    study_report_views,
)

urlpatterns = [
    path("studies/new/", create_study_views.create, name="study-create"),
    path("studies/new/<slug:key>/demo/", create_study_views.create_demo, name="study-create-demo"),
    path("studies/preview/", create_study_views.preview_new, name="study-create-preview"),
    path("studies/<slug:slug>/", overview_views.overview, name="study-overview"),
    path("studies/<slug:slug>/report/", study_report_views.report, name="study-report"),
    path("studies/<slug:slug>/delete/", study_deletion_views.delete, name="study-delete"),
    path("studies/<slug:slug>/runs/", run_views.runs, name="runs"),
    path("studies/<slug:slug>/runs/new/<str:kind>/", run_views.start, name="run-start"),
    path("runs/<int:pk>/", run_views.run, name="run"),
    path("runs/<int:pk>/compare/<int:other>/", run_views.run_compare, name="run-compare"),
    path("runs/<int:pk>/live/", run_views.live, name="run-live"),
    path("runs/<int:pk>/cancel/", run_views.cancel, name="run-cancel"),
    path("runs/<int:pk>/resend/", run_views.resend, name="run-resend"),
    path("studies/<slug:slug>/models/", model_views.models, name="models"),
    path("studies/<slug:slug>/models/<int:pk>/", model_views.model, name="model"),
    path("studies/<slug:slug>/models/<int:pk>/promote/", model_views.promote, name="model-promote"),
    path("studies/<slug:slug>/models/<int:pk>/why/", model_views.why, name="model-why"),
    path("studies/<slug:slug>/models/<int:pk>/rewards/", model_views.rewards, name="model-rewards"),
    path("studies/<slug:slug>/rounds.<str:file_type>", model_views.download_rounds, name="rounds-file"),
    path("studies/<slug:slug>/rounds/<int:number>/", model_views.round_page, name="round"),
    path("studies/<slug:slug>/exchange/", exchange_views.exchange, name="exchange"),
    path("studies/<slug:slug>/exchange/prompts/", exchange_views.upload_prompts, name="import-prompts"),
    path("studies/<slug:slug>/exchange/file/", exchange_views.upload_preferences, name="import-preferences"),
    path("studies/<slug:slug>/exchange/judgements/", exchange_views.upload_judgements, name="import-judgements"),
]
