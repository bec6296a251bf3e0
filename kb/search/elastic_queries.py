"""Queries and answers of the Elasticsearch engine. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kb.search.entries import order_hits, weigh_tokens
from kb.search.types import (
    BigramCounts,
    FieldQuery,
    IndexMissing,
    PassageHit,
    SearchEngineError,
    SearchEngineUnavailable,
    SearchFilter,
)

ID_FIELDS = ("passage_id", "version_id", "document_id")


def build_search(query: FieldQuery, search_filter: SearchFilter, limit: int) -> dict[str, Any]:
    """The body of one search. Ids come from columns, without reading any stored entry."""
    return {
        "size": limit,
        "track_total_hits": False,
        "_source": False,
        "stored_fields": "_none_",
        "docvalue_fields": list(ID_FIELDS),
        "query": {"bool": {"must": [_match_tokens(query)], "filter": build_filter(search_filter)}},
    }


def build_filter(search_filter: SearchFilter) -> list[dict[str, Any]]:
    """The clauses that must hold, without any score."""
    clauses: list[dict[str, Any]] = []
    for field, values in (
        ("region", search_filter.regions),
        ("level", search_filter.levels),
        ("category", search_filter.categories),
    ):
        if values:
            clauses.append({"terms": {field: list(values)}})
    if search_filter.departments is not None:
        for_everyone = {"bool": {"must_not": {"exists": {"field": "departments"}}}}
        permitted = {"terms": {"departments": list(search_filter.departments)}}
        clauses.append({"bool": {"should": [for_everyone, permitted]}})
    if search_filter.as_of is not None:
        day = search_filter.as_of.toordinal()
        clauses.append({"range": {"in_force_from": {"lte": day}}})
        clauses.append({"range": {"in_force_until": {"gt": day}}})
    return clauses


def read_hits(response: dict[str, Any], limit: int) -> list[PassageHit]:
    """The hits of one search of many. Raises what its status says."""
    if "error" in response:
        raise _read_error(response)
    hits = response.get("hits", {}).get("hits", [])
    return order_hits([_read_hit(hit["fields"], hit["_score"]) for hit in hits], limit)


def build_count(bigrams: Collection[str]) -> dict[str, Any]:
    """The arguments of a term vectors request for a passage that is not stored: how many passages hold each bigram."""
    return {
        "doc": {"bigrams": " ".join(bigrams)},
        "fields": ["bigrams"],
        "term_statistics": True,
        "field_statistics": True,
        "positions": False,
        "offsets": False,
        "payloads": False,
    }


def read_counts(response: dict[str, Any]) -> BigramCounts:
    """None known where the request held no bigram."""
    vectors = response.get("term_vectors", {}).get("bigrams", {})
    counts = {bigram: term.get("doc_freq", 0) for bigram, term in vectors.get("terms", {}).items()}
    passages = vectors.get("field_statistics", {}).get("doc_count", 0)
    return BigramCounts(passages, {bigram: count for bigram, count in counts.items() if count})


def _read_hit(columns: dict[str, list[int]], score: float) -> PassageHit:
    passage_id, version_id, document_id = (columns[name][0] for name in ID_FIELDS)
    return PassageHit(passage_id, version_id, document_id, score)


def _match_tokens(query: FieldQuery) -> dict[str, Any]:
    """Repeated tokens stay repeated: each occurrence adds its score."""
    tokens = [token for token, count in weigh_tokens(query.tokens).items() for _ in range(count)]
    if not tokens:
        return {"match_none": {}}
    return {"match": {query.field: {"query": " ".join(tokens), "operator": "or"}}}


def _read_error(response: dict[str, Any]) -> SearchEngineError:
    status, error = response.get("status", 500), response["error"]
    message = f"{status} {error.get('type')}: {error.get('reason')}"
    if error.get("type") == "index_not_found_exception":
        return IndexMissing(message)
    return SearchEngineUnavailable(message) if status in {429, 502, 503, 504} else SearchEngineError(message)
