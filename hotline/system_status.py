"""What runs and how it does, for the status page and /api/v1/status. Read only."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from hotline.models import Lookup, SecondaryReview
from hotline.worker_status import find_disagreement, read_published_status
from kb.engine import get_search_engine
from kb.models import DocumentVersion, Upload
from kb.selectors import live_index_version, stale_document_ids


def describe_system() -> dict[str, Any]:
    health = get_search_engine().health()
    index = live_index_version()
    return {
        "search": {
            "engine": get_search_engine().name,
            "is_available": health.is_available,
            "detail": health.detail,
            "index": index.name if index else None,
            "passages": index.passages if index else 0,
            "stale_documents": len(stale_document_ids()),
        },
        "reranker": {
            "configured": settings.RERANKER,
            **read_published_status(),
            "settings_agree": not find_disagreement(),
        },
        "waiting": {
            "lookups": Lookup.objects.exclude(state=Lookup.State.DONE).count(),
            "reviews": SecondaryReview.objects.filter(state=SecondaryReview.State.WAITING).count(),
            "uploads": Upload.objects.filter(state__in=[Upload.State.WAITING, Upload.State.PARSING]).count(),
        },
        "published_versions": DocumentVersion.objects.filter(state=DocumentVersion.State.PUBLISHED).count(),
    }
