from django.urls import path

from annotate.web.quality import activity_views, fairness_views, quality_views, rater_views

urlpatterns = [
    path("studies/<slug:slug>/work/", activity_views.work, name="work"),
    path("studies/<slug:slug>/quality/", quality_views.quality, name="quality"),
    path("studies/<slug:slug>/quality.<str:file_type>", quality_views.quality_file, name="quality-file"),
    path("studies/<slug:slug>/quality/raters/", rater_views.raters, name="quality-raters"),
    path("studies/<slug:slug>/quality/raters.csv", rater_views.raters_file, name="quality-raters-file"),
    path("studies/<slug:slug>/quality/raters/<int:pk>/", rater_views.rater, name="quality-rater"),
    path("studies/<slug:slug>/quality/fairness/", fairness_views.fairness, name="fairness"),
    path("studies/<slug:slug>/about-me/", fairness_views.about_me, name="about-me"),
]
