from django.urls import path

from annotate.web.audit import views

urlpatterns = [
    path("studies/<slug:slug>/log/", views.audit, name="audit"),
    path("studies/<slug:slug>/log.csv", views.audit_file, name="audit-file"),
    path("account/log/", views.account_log, name="account-log"),
    path("account/log.csv", views.account_log_file, name="account-log-file"),
]
