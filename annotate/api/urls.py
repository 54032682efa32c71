from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView

from annotate.api import views_runs, views_studies, views_tokens

V1 = "api/v1/studies/<slug:slug>/"

urlpatterns = [
    path("api/v1/schema/", SpectacularJSONAPIView.as_view(), name="api-schema"),
    path("api/v1/studies/", views_studies.Studies.as_view(), name="api-studies"),
    path(V1, views_studies.OneStudy.as_view(), name="api-study"),
    path(f"{V1}prompts/", views_studies.Prompts.as_view(), name="api-prompts"),
    path(f"{V1}responses/", views_studies.Responses.as_view(), name="api-responses"),
    path(f"{V1}judgements/", views_studies.Judgements.as_view(), name="api-judgements"),
    path(f"{V1}export/<str:form>.<str:file_type>", views_studies.Export.as_view(), name="api-export"),
    path(f"{V1}runs/", views_runs.Runs.as_view(), name="api-runs"),
    path(f"{V1}runs/<int:pk>/", views_runs.OneRun.as_view(), name="api-run"),
    path(f"{V1}runs/<int:pk>/cancel/", views_runs.CancelRun.as_view(), name="api-run-cancel"),
    path(f"{V1}models/", views_runs.Models.as_view(), name="api-models"),
    path(f"{V1}models/<int:pk>/rewards/", views_runs.Rewards.as_view(), name="api-rewards"),
    path(f"{V1}models/<int:pk>/preference/<int:a>/<int:b>/", views_runs.Preference.as_view(), name="api-preference"),
    path(f"{V1}webhooks/", views_runs.Webhooks.as_view(), name="api-webhooks"),
    path(f"{V1}webhooks/<int:pk>/", views_runs.OneWebhook.as_view(), name="api-webhook"),
    path("account/tokens/", views_tokens.tokens, name="tokens"),
    path("account/tokens/<int:pk>/end/", views_tokens.end, name="token-end"),
    path("account/tokens/all/", views_tokens.all_tokens, name="all-tokens"),
    path("account/tokens/all/<int:pk>/end/", views_tokens.end_any, name="all-tokens-end"),
]
