from django.urls import include, path

from palate import observe

urlpatterns = [
    path("healthz", observe.healthz, name="healthz"),
    path("readyz", observe.readyz, name="readyz"),
    path("metrics", observe.metrics, name="metrics"),
    path("", include("annotate.urls")),
    path("", include("training.urls")),
]
