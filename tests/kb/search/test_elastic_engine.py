"""The Elasticsearch engine where the server is away, slow, busy or partly failing, and its document class."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django_elasticsearch_dsl.registries import registry

from kb.models import Passage
from kb.retrieval import retrieve
from kb.search.elastic import ElasticEngine
from kb.search.elastic_documents import TOKEN_FIELDS, PassageDocument, build_index_body, list_entries
from kb.search.elastic_queries import build_search
from kb.search.entries import INDEX_FORMAT
from kb.search.types import (
    BM25_B,
    BM25_K1,
    FieldQuery,
    IndexMissing,
    SearchEngineError,
    SearchEngineUnavailable,
    SearchFilter,
)
from kb.segmentation import SegmentationDictionary, get_segmenter
from tests.kb.search.samples import SAMPLE, delete_indexes, make_version

Answer = tuple[int, object]
Serve = Callable[..., str]
QUERY = [FieldQuery("bigrams", ("漏水",))]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that gives one answer after the other, the last for ever, each after `delay` seconds."""
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: Answer, delay: float = 0.0) -> str:
        waiting = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                time.sleep(delay)
                status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_HEAD = do_DELETE = do_GET

            def log_message(self, *arguments: object) -> None:
                """Silence."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_server_that_is_away_is_unavailable() -> None:
    engine = ElasticEngine("http://127.0.0.1:9", "away", timeout_seconds=1)
    for call in (
        engine.live_index,
        engine.list_indexes,
        lambda: engine.segmenter("first"),
        lambda: engine.search_many("first", QUERY, SearchFilter(), limit=5),
        lambda: engine.create_index("first", SegmentationDictionary()),
        lambda: engine.swap_alias("first"),
        lambda: engine.delete_versions("first", [1]),
    ):
        with pytest.raises(SearchEngineUnavailable):
            call()
    assert not engine.health().is_available
    assert "无法使用" in engine.health().detail


def test_slow_server_is_unavailable_within_the_time_limit(serve: Serve) -> None:
    engine = ElasticEngine(serve((200, {}), delay=5.0), "slow", timeout_seconds=0.2)
    began = time.monotonic()
    with pytest.raises(SearchEngineUnavailable):
        engine.search_many("first", QUERY, SearchFilter(), limit=5)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("status", "error"), [(503, SearchEngineUnavailable), (429, SearchEngineUnavailable), (400, SearchEngineError)]
)
def test_status_of_the_server_says_whether_waiting_helps(
    serve: Serve, status: int, error: type[SearchEngineError]
) -> None:
    engine = ElasticEngine(serve((status, {"error": {"type": "some_exception"}, "status": status})), "busy")
    with pytest.raises(error) as raised:
        engine.list_indexes()
    assert type(raised.value) is error


def test_busy_server_is_asked_once_more(serve: Serve) -> None:
    engine = ElasticEngine(serve((503, {}), (200, {})), "recovering")
    assert engine.list_indexes() == []


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (404, "index_not_found_exception", IndexMissing),
        (503, "search_phase_execution_exception", SearchEngineUnavailable),
        (429, "circuit_breaking_exception", SearchEngineUnavailable),
        (400, "query_shard_exception", SearchEngineError),
    ],
)
def test_one_failed_search_of_many_is_never_an_empty_answer(
    serve: Serve, status: int, kind: str, error: type[SearchEngineError]
) -> None:
    responses = [{"status": 200, "hits": {"hits": []}}, {"status": status, "error": {"type": kind, "reason": "…"}}]
    engine = ElasticEngine(serve((200, {"responses": responses})), "partial")
    with pytest.raises(error) as raised:
        engine.search_many("first", QUERY * 2, SearchFilter(), limit=5)
    assert type(raised.value) is error


def test_write_is_tried_again_until_the_attempts_are_used_up(serve: Serve) -> None:
    scroll = {"_scroll_id": "1", "hits": {"hits": []}, "_shards": {"total": 1, "successful": 1, "skipped": 0}}
    refused = (503, {"error": {"type": "unavailable"}, "status": 503})
    good = (200, {"_shards": {}})
    recovering = [good, refused, refused, (200, scroll), good, good]
    ElasticEngine(serve(*recovering), "writes", write_attempts=3).delete_versions("first", [1])
    with pytest.raises(SearchEngineUnavailable):
        ElasticEngine(serve(good, refused), "writes", write_attempts=2).delete_versions("first", [1])


def test_refused_entry_fails_the_write(serve: Serve) -> None:
    dictionary = {
        "_index": "i",
        "_id": "dictionary",
        "found": True,
        "_source": {"dictionary": "", "index_format": INDEX_FORMAT},
    }
    scroll = {"_scroll_id": "1", "hits": {"hits": []}, "_shards": {"total": 1, "successful": 1, "skipped": 0}}
    item = {"index": {"_id": "p1", "status": 400, "error": {"type": "mapper_parsing_exception"}}}
    answers = [(200, dictionary), (200, {}), (200, scroll), (200, {}), (200, {"errors": True, "items": [item] * 2})]
    with pytest.raises(SearchEngineError) as raised:
        ElasticEngine(serve(*answers), "refused").add("first", [make_version(1, "条")])
    assert not isinstance(raised.value, SearchEngineUnavailable)


def test_alias_is_remembered_for_its_time(serve: Serve) -> None:
    url = serve((200, {"known-first": {"aliases": {}}}), (200, {"known-second": {"aliases": {}}}))
    engine = ElasticEngine(url, "known", alias_seconds=0.3)
    assert [engine.live_index(), engine.live_index()] == ["first", "first"]
    time.sleep(0.35)
    assert engine.live_index() == "second"


@pytest.mark.service
def test_remembered_alias_of_a_dropped_index_is_asked_for_again(elasticsearch_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    writer = ElasticEngine(elasticsearch_url, prefix, timeout_seconds=30)
    reader = ElasticEngine(elasticsearch_url, prefix, timeout_seconds=30, alias_seconds=3600)
    try:
        for name in ("old", "new"):
            writer.create_index(name, SegmentationDictionary())
            writer.add(name, SAMPLE)
            writer.swap_alias(name)
            assert retrieve(reader, "漏水", SearchFilter()).index == "old"
        writer.drop_index("old")
        assert retrieve(reader, "漏水", SearchFilter()).index == "new"
    finally:
        delete_indexes(elasticsearch_url, prefix)


def test_document_class_takes_no_part_in_signals() -> None:
    assert PassageDocument in registry.get_documents([Passage])
    assert PassageDocument.django.ignore_signals is True
    assert PassageDocument.django.auto_refresh is False


@pytest.mark.django_db
def test_search_index_command_has_nothing_to_fill() -> None:
    assert PassageDocument().get_queryset().count() == 0


def test_index_has_bm25_as_the_embedded_engine_and_fields_cut_at_spaces() -> None:
    body = build_index_body(shards=2, replicas=1, about={"prefix": "p"})
    assert body["settings"]["similarity"]["default"] == {"type": "BM25", "k1": BM25_K1, "b": BM25_B}
    assert (body["settings"]["number_of_shards"], body["settings"]["number_of_replicas"]) == (2, 1)
    assert body["mappings"]["dynamic"] == "strict"
    assert body["mappings"]["_meta"] == {"prefix": "p"}
    for field in TOKEN_FIELDS:
        assert body["mappings"]["properties"][field]["analyzer"] == "whitespace"
        assert field in body["mappings"]["_source"]["excludes"]


def test_index_body_is_made_anew_each_time() -> None:
    build_index_body(shards=3, replicas=2, about={"prefix": "p"})
    assert build_index_body(shards=1, replicas=0, about={})["settings"]["number_of_shards"] == 1


def test_whole_version_comes_after_its_passages_and_alone_has_the_fingerprint() -> None:
    entries = list(list_entries(get_segmenter(SegmentationDictionary()), SAMPLE[0]))
    assert [entry_id for entry_id, _ in entries] == ["p100", "p101", "v1"]
    assert ["fingerprint" in fields for _, fields in entries] == [False, False, True]
    mapped = build_index_body(shards=1, replicas=0, about={})["mappings"]["properties"].keys()
    assert all(fields.keys() <= mapped for _, fields in entries)


def test_filter_is_not_scored() -> None:
    body = build_search(QUERY[0], SearchFilter(regions=("云岚市",), as_of=date.fromordinal(739000)), 7)
    assert body["size"] == 7
    assert body["query"]["bool"]["filter"] == [
        {"terms": {"region": ["云岚市"]}},
        {"range": {"in_force_from": {"lte": 739000}}},
        {"range": {"in_force_until": {"gt": 739000}}},
    ]
