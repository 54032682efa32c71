from django.urls import path

from annotate.quality import views, views_fairness, views_quality, views_raters, views_report

urlpatterns = [
    path("studies/<slug:slug>/work/", views.work, name="work"),
    path("studies/<slug:slug>/quality/", views_quality.quality, name="quality"),
    path("studies/<slug:slug>/quality.<str:file_type>", views_quality.quality_file, name="quality-file"),
    path("studies/<slug:slug>/quality/raters/", views_raters.raters, name="quality-raters"),
    path("studies/<slug:slug>/quality/raters.csv", views_raters.raters_file, name="quality-raters-file"),
    path("studies/<slug:slug>/quality/raters/<int:pk>/", views_raters.rater, name="quality-rater"),
    path("studies/<slug:slug>/quality/fairness/", views_fairness.fairness, name="fairness"),
    path("studies/<slug:slug>/report/", views_report.report, name="study-report"),
    path("studies/<slug:slug>/about-me/", views_fairness.about_me, name="about-me"),
]
