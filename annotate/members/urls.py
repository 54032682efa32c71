from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from annotate.members import views

urlpatterns = [
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("join/<str:token>/", views.join, name="join"),
    path("studies/<slug:slug>/members/", views.members, name="study-members"),
    path("studies/<slug:slug>/members/<int:pk>/tags/", views.tags, name="study-member-tags"),
    path("studies/<slug:slug>/members/<int:pk>/let-go-on/", views.let_go_on, name="study-member-let-go-on"),
    path("studies/<slug:slug>/members/<int:pk>/remove/", views.remove, name="study-member-remove"),
    path("studies/<slug:slug>/invitations/", views.invite, name="study-invite"),
    path("studies/<slug:slug>/invitations/<int:pk>/withdraw/", views.withdraw, name="invitation-withdraw"),
]
