from django.urls import include, path

urlpatterns = [
    path("", include("annotate.members.urls")),
    path("", include("annotate.studies.urls")),
    path("", include("annotate.tasks.urls")),
    path("", include("annotate.judgements.urls")),
    path("", include("annotate.instructions.urls")),
    path("", include("annotate.known_answers.urls")),
]
