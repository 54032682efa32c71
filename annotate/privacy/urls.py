from django.urls import path

from annotate.privacy import views

urlpatterns = [path("account/data/", views.personal_data, name="personal-data")]
