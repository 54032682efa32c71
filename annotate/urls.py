from django.urls import include, path

SLICES = (
    *("members", "studies", "tasks", "judgements", "instructions", "known_answers", "review", "quality", "standings"),
    *("exchange", "api", "audit", "machines", "sign_in", "privacy"),
)

urlpatterns = [path("", include(f"annotate.{name}.urls")) for name in SLICES]
