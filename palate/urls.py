from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import set_language

from palate import observability

urlpatterns = [
    path("metrics", observability.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("language/", login_not_required(set_language), name="language"),
    # First: studies/new/ is no study named "new".
    path("", include("training.web.urls")),
    path("", include("annotate.web.urls")),
    path("", include("annotate.api.urls")),
    path("", include("training.api.urls")),
]
