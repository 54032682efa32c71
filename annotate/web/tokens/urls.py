from django.urls import path

from annotate.web.tokens import views

urlpatterns = [
    path("account/tokens/", views.tokens, name="tokens"),
    path("account/tokens/<int:pk>/end/", views.end, name="token-end"),
    path("account/tokens/all/", views.all_tokens, name="all-tokens"),
    path("account/tokens/all/<int:pk>/end/", views.end_any, name="all-tokens-end"),
]
