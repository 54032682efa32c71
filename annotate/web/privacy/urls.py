from django.urls import path

from annotate.web.privacy import views

urlpatterns = [path("account/data/", views.personal_data, name="personal-data")]
