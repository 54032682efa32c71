from django.urls import path

from annotate.api.urls import V1
from training.api import views

urlpatterns = [
    path(f"{V1}runs/", views.Runs.as_view(), name="api-runs"),
    path(f"{V1}runs/<int:pk>/", views.OneRun.as_view(), name="api-run"),
    path(f"{V1}runs/<int:pk>/cancel/", views.CancelRun.as_view(), name="api-run-cancel"),
    path(f"{V1}models/", views.Models.as_view(), name="api-models"),
    path(f"{V1}models/<int:pk>/rewards/", views.Rewards.as_view(), name="api-rewards"),
    path(f"{V1}models/<int:pk>/preference/<int:a>/<int:b>/", views.Preference.as_view(), name="api-preference"),
]
