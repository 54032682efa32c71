from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import set_language

from palate import observe

urlpatterns = [
    path("metrics", observe.metrics, name="metrics"),
    path("language/", login_not_required(set_language), name="language"),
    path("", include("annotate.urls")),
    path("", include("training.urls")),
]
