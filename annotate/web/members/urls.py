from allauth.account import views as account
from allauth.socialaccount import views as social
from django.urls import include, path

from annotate.web.members import views

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("account/", views.account, name="account"),
    path("account/closed/", account.signup, name="account_signup"),
    path("account/inactive/", account.account_inactive, name="account_inactive"),
    path("account/confirm/", account.reauthenticate, name="account_reauthenticate"),
    path("account/password/", account.password_change, name="account_change_password"),
    path("account/password/first/", account.password_set, name="account_set_password"),
    path("account/2fa/", include("allauth.mfa.urls")),
    path("account/connections/", social.connections, name="socialaccount_connections"),
    path("account/connections/new/", social.signup, name="socialaccount_signup"),
    path("account/connections/cancelled/", social.login_cancelled, name="socialaccount_login_cancelled"),
    path("account/connections/error/", social.login_error, name="socialaccount_login_error"),
    path("account/", include("allauth.socialaccount.providers.openid_connect.urls")),
    path("password/<str:uidb64>/<str:token>/", views.NewPassword.as_view(), name="password-new"),
    path("join/<str:token>/", views.join, name="join"),
    path("studies/<slug:slug>/members/", views.members, name="study-members"),
    path("studies/<slug:slug>/members/<int:pk>/tags/", views.tags, name="study-member-tags"),
    path("studies/<slug:slug>/members/<int:pk>/reinstate/", views.reinstate_member, name="study-member-reinstate"),
    path("studies/<slug:slug>/members/<int:pk>/remove/", views.remove, name="study-member-remove"),
    path("studies/<slug:slug>/members/<int:pk>/password/", views.password_link, name="study-member-password"),
    path("studies/<slug:slug>/members/<int:pk>/erase/", views.erase, name="study-member-erase"),
    path("studies/<slug:slug>/invitations/", views.invite, name="study-invite"),
    path("studies/<slug:slug>/invitations/<int:pk>/withdraw/", views.withdraw, name="invitation-withdraw"),
]
