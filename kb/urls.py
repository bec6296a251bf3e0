"""Addresses of the knowledge pages."""

from django.urls import path

from kb import views

app_name = "kb"
urlpatterns = [
    path("", views.list_documents, name="documents"),
    path("documents/<int:pk>/", views.show_document, name="document"),
    path("uploads/", views.show_uploads, name="uploads"),
    path("uploads/<int:pk>/", views.show_upload, name="upload"),
    path("uploads/<int:pk>/row/", views.show_upload_row, name="upload_row"),
    path("uploads/<int:pk>/retry/", views.retry_upload, name="upload_retry"),
    path("versions/publish/", views.publish_versions, name="publish"),
    path("versions/<int:pk>/", views.show_version, name="version"),
    path("versions/<int:pk>/publish/", views.publish_version, name="version_publish"),
    path("versions/<int:pk>/withdraw/", views.withdraw_version, name="version_withdraw"),
    path("versions/<int:pk>/repeal/", views.repeal_version, name="version_repeal"),
    path("versions/<int:pk>/chain/", views.chain_version, name="version_chain"),
    path("index/", views.show_index, name="index"),
]
