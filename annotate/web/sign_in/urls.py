from django.urls import path

from annotate.web.sign_in import views

urlpatterns = [
    path("account/sessions/", views.sessions, name="sessions"),
    path("account/sessions/<int:pk>/end/", views.end_session, name="session-end"),
    path("account/sessions/others/end/", views.end_other_sessions, name="sessions-end-others"),
]
