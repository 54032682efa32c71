from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from annotate.api import views, webhook_views

V1 = "api/v1/studies/<slug:slug>/"

urlpatterns = [
    path("api/v1/schema/", SpectacularJSONAPIView.as_view(), name="api-schema"),
    path("api/v1/docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    path("api/v1/studies/", views.Studies.as_view(), name="api-studies"),
    path(V1, views.OneStudy.as_view(), name="api-study"),
    path(f"{V1}prompts/", views.Prompts.as_view(), name="api-prompts"),
    path(f"{V1}responses/", views.Responses.as_view(), name="api-responses"),
    path(f"{V1}judgements/", views.Judgements.as_view(), name="api-judgements"),
    path(f"{V1}export/<str:form>.<str:file_type>", views.Export.as_view(), name="api-export"),
    path(f"{V1}webhooks/", webhook_views.Webhooks.as_view(), name="api-webhooks"),
    path(f"{V1}webhooks/<int:pk>/", webhook_views.OneWebhook.as_view(), name="api-webhook"),
]
