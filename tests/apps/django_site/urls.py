from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("", views.hello),
    path("admin/", admin.site.urls),
    path("upload", views.upload),
    path("stream", views.stream),
    path("download", views.download),
    path("session", views.session),
    path("caf\u00e9/<str:name>", views.named),
    path("error", views.error),
    path("body", views.body),
]
