"""Addresses of the knowledge pages."""

from django.urls import path

from kb import dictionary_views, views

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
    path("dictionaries/", dictionary_views.list_entries, name="dictionaries"),
    path("dictionaries/<int:pk>/", dictionary_views.show_entry, name="dictionary_entry"),
    path("dictionaries/<int:pk>/row/", dictionary_views.show_row, name="dictionary_row"),
    path("dictionaries/<int:pk>/retire/", dictionary_views.retire_entry, name="dictionary_retire"),
    path("dictionaries/add/<str:kind>/", dictionary_views.add_entry, name="dictionary_add"),
    path("dictionaries/builtin/", dictionary_views.sync_builtin, name="dictionary_sync"),
    path("dictionaries/drafts/<int:pk>/", dictionary_views.edit_draft, name="dictionary_draft"),
    path("dictionaries/drafts/drop/", dictionary_views.drop_drafts, name="dictionary_drop"),
    path("dictionaries/import/", dictionary_views.import_entries, name="dictionary_import"),
    path("dictionaries/export/", dictionary_views.export_entries, name="dictionary_export"),
    path("dictionaries/history/", dictionary_views.list_releases, name="dictionary_history"),
    path("dictionaries/history/<int:pk>/restore/", dictionary_views.restore_release, name="dictionary_restore"),
    path("dictionaries/rebuild/", dictionary_views.show_rebuild, name="dictionary_rebuild"),
]
