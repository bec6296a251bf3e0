"""Addresses of /api/v1/."""

from csp.decorators import csp_update
from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from hotline.api import lab_views, schema, views  # noqa: F401  schema registers the key's scheme

app_name = "api"
# Swagger UI sets styles inline; its script comes from the view's own address.
docs = SpectacularSwaggerSplitView.as_view(url_name="api:schema", permission_classes=[])
urlpatterns = [
    path("tickets", views.TicketListView.as_view(), name="tickets"),
    path("tickets/<str:number>", views.TicketView.as_view(), name="ticket"),
    path("lookups", views.LookupListView.as_view(), name="lookups"),
    path("lookups/<int:pk>", views.LookupView.as_view(), name="lookup"),
    path("rerank", views.RerankView.as_view(), name="rerank"),
    path("documents", views.DocumentListView.as_view(), name="documents"),
    path("documents/<int:pk>", views.DocumentView.as_view(), name="document"),
    path("versions/<int:pk>", views.VersionView.as_view(), name="version"),
    path("uploads/<int:pk>", views.UploadView.as_view(), name="upload"),
    path("lab/compare", lab_views.CompareView.as_view(), name="lab_compare"),
    path("lab/runs", lab_views.RunListView.as_view(), name="lab_runs"),
    path("lab/runs/compare", lab_views.RunComparisonView.as_view(), name="lab_runs_compare"),
    path("lab/runs/<int:pk>/stop", lab_views.StopRunView.as_view(), name="lab_run_stop"),
    path("lab/runs/<int:pk>/resume", lab_views.ResumeRunView.as_view(), name="lab_run_resume"),
    path("lab/instructions", lab_views.InstructionListView.as_view(), name="lab_instructions"),
    path("lab/runs/<int:pk>", lab_views.RunView.as_view(), name="lab_run"),
    path("lab/runs/<int:pk>/rows", lab_views.RowListView.as_view(), name="lab_rows"),
    path("lab/runs/<int:pk>/export", lab_views.ExportView.as_view(), name="lab_export"),
    path("status", views.StatusView.as_view(), name="status"),
    path("schema", SpectacularAPIView.as_view(permission_classes=[]), name="schema"),
    path("docs", csp_update({"style-src": ["'self'", "'unsafe-inline'"]})(docs), name="docs"),
]
