"""What every Elasticsearch index of versions does with the server, and its errors in this package's words.

An index holds an entry for each passage, and one for each whole version (`passage_id` 0) with its fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from elasticsearch import ApiError, Elasticsearch, NotFoundError, TransportError, helpers
from elasticsearch.helpers import BulkIndexError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from kb.search.types import (
    IndexCounts,
    IndexedVersion,
    IndexInUse,
    IndexMissing,
    SearchEngineError,
    SearchEngineUnavailable,
)

BUSY = {429, 502, 503, 504}
PAGE = 1000
WHOLE_VERSIONS = {"term": {"passage_id": 0}}
PASSAGES = {"range": {"passage_id": {"gt": 0}}}


def replace_entries(
    client: Elasticsearch,
    index: str,
    version_ids: Sequence[int],
    entries: Mapping[str, dict[str, Any]],
    *,
    attempts: int,
) -> None:
    """Puts entries (by id) in the place of all that the index holds of some versions. Safe to repeat."""
    trying = Retrying(
        retry=retry_if_exception_type(SearchEngineUnavailable),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        reraise=True,
    )
    for attempt in trying:
        with attempt, translate_errors():
            stale = _list_ids(client, index, version_ids) - entries.keys()
            actions = [{"_op_type": "delete", "_id": entry_id} for entry_id in sorted(stale)]
            actions += [{"_id": entry_id, **fields} for entry_id, fields in entries.items()]
            for _ in helpers.streaming_bulk(client, actions, index=index, max_retries=5, initial_backoff=0.2):
                pass


def _list_ids(client: Elasticsearch, index: str, version_ids: Sequence[int]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(version_ids), PAGE):
        query = {"terms": {"version_id": list(version_ids[start : start + PAGE])}}
        hits = helpers.scan(client, index=index, query={"query": query, "_source": False}, size=5 * PAGE)
        found.update(hit["_id"] for hit in hits)
    return found


def count_entries(client: Elasticsearch, index: str) -> IndexCounts:
    with translate_errors():
        versions, passages = (client.count(index=index, query=query)["count"] for query in (WHOLE_VERSIONS, PASSAGES))
    return IndexCounts(versions, passages)


def scan_versions(client: Elasticsearch, index: str) -> Iterator[IndexedVersion]:
    """Every version of which the index holds anything, by version id."""
    parts = {
        "passages": {"filter": PASSAGES},
        "whole": {"filter": WHOLE_VERSIONS, "aggs": {"fingerprint": {"terms": {"field": "fingerprint"}}}},
    }
    pages: dict[str, Any] = {"size": PAGE, "sources": [{"version": {"terms": {"field": "version_id"}}}]}
    while True:
        with translate_errors():
            answer = client.search(index=index, size=0, aggs={"versions": {"composite": pages, "aggs": parts}})[
                "aggregations"
            ]["versions"]
        for bucket in answer["buckets"]:
            fingerprints = bucket["whole"]["fingerprint"]["buckets"]
            fingerprint = fingerprints[0]["key"] if fingerprints else ""
            yield IndexedVersion(bucket["key"]["version"], fingerprint, bucket["passages"]["doc_count"])
        if "after_key" not in answer:
            return
        pages = {**pages, "after": answer["after_key"]}


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raises the client's errors as this package's."""
    try:
        yield
    except NotFoundError as error:
        raise IndexMissing(str(error.message)) from error
    except ApiError as error:
        kind = SearchEngineUnavailable if error.meta.status in BUSY else SearchEngineError
        if error.message == "resource_already_exists_exception":
            kind = IndexInUse
        raise kind(f"{error.meta.status} {error.message}") from error
    except BulkIndexError as error:
        busy = any(item["status"] in BUSY for entry in error.errors for item in entry.values())
        raise (SearchEngineUnavailable if busy else SearchEngineError)(str(error)) from error
    except TransportError as error:
        raise SearchEngineUnavailable(str(error.message)) from error
