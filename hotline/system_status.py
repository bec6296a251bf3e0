"""What runs and how it does, for the status page and /api/v1/status. Read only."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Count

from hotline.embedders import read_trouble
from hotline.models import Lookup, SecondaryReview
from hotline.worker_status import find_disagreement, read_published_status
from kb.engine import get_search_engine
from kb.models import DictionaryDraft, DictionaryRelease, DocumentVersion, SemanticFingerprint, Upload
from kb.selectors import live_index_version, searchable_versions, stale_document_ids


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
        "semantic": _describe_semantic(),
        "dictionaries": _describe_dictionaries(),
        "waiting": {
            "lookups": Lookup.objects.exclude(state=Lookup.State.DONE).count(),
            "reviews": SecondaryReview.objects.filter(state=SecondaryReview.State.WAITING).count(),
            "uploads": Upload.objects.filter(state__in=[Upload.State.WAITING, Upload.State.PARSING]).count(),
        },
        "published_versions": DocumentVersion.objects.filter(state=DocumentVersion.State.PUBLISHED).count(),
    }


def _describe_semantic() -> dict[str, Any]:
    """`spaces`: for each embedder of which there are fingerprints, how many of the searchable versions have theirs."""
    rows = SemanticFingerprint.objects.filter(version__in=searchable_versions(), vectors__isnull=False).order_by()
    counted = rows.values_list("embedder_revision", "dimension").annotate(count=Count("pk"))
    return {
        "is_configured": bool(settings.EMBEDDING_URL),
        "searchable_versions": searchable_versions().count(),
        "spaces": [
            {"embedder": embedder, "dimension": dimension, "versions": count}
            for embedder, dimension, count in sorted(counted)
        ],
        "last_trouble": read_trouble(),
    }


def _describe_dictionaries() -> dict[str, Any]:
    """`release` is None as long as the files of the product are used."""
    release = DictionaryRelease.objects.first()
    return {
        "release": release.pk if release else None,
        "live_since": release.at.isoformat(timespec="seconds") if release else None,
        "drafts": DictionaryDraft.objects.count(),
    }
