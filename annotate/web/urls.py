from django.urls import include, path

SLICES = (
    *("members", "studies", "rating", "history", "instructions", "practice", "review", "quality", "standings"),
    *("exchange", "tokens", "audit", "machine_judges", "sign_in", "privacy"),
)

urlpatterns = [path("", include(f"annotate.web.{name}.urls")) for name in SLICES]
