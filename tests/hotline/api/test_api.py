"""/api/v1/: what the ticketing system relies on."""

from __future__ import annotations

import io
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from hotline.models import APIKey, Lookup, Ticket
from hotline.services.rerank_jobs import rerank_waiting_jobs
from hotline.services.reranking import rerank_waiting_lookups
from kb import indexing
from kb.models import Department, DocumentVersion, Upload
from kb.services.versions import correct_metadata
from reranking.types import Candidate
from tests.hotline.api.conftest import make_client
from tests.hotline.conftest import FakeReranker

pytestmark = pytest.mark.django_db
Policies = dict[str, DocumentVersion]


def assert_problem(response: Any, status: int, code: str) -> None:
    assert response.status_code == status, response.content
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert set(body) == {"type", "status", "code", "detail", "errors"}
    assert body["detail"]


def test_ticket_comes_back_with_its_lookup(client: APIClient, policies: Policies) -> None:
    response = client.post("/api/v1/tickets", {"external_id": "GD-1", "question": "电梯补贴多少，13812345678"})

    assert response.status_code == 201
    body = response.json()
    assert body["external_id"] == "GD-1"
    assert "13812345678" not in body["question"]
    lookup = body["lookup"]
    assert (lookup["state"], lookup["is_final"]) == ("waiting", False)
    assert lookup["results"][0]["document"]["title"] == "云岚市既有住宅加装电梯办法"


def test_same_external_id_gives_the_same_ticket(client: APIClient, policies: Policies) -> None:
    first = client.post("/api/v1/tickets", {"external_id": "GD-1", "question": "电梯补贴"})
    again = client.post("/api/v1/tickets", {"external_id": "GD-1", "question": "电梯补贴"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["number"] == again.json()["number"]
    assert first.json()["lookup"]["id"] == again.json()["lookup"]["id"]
    assert (Ticket.objects.count(), Lookup.objects.count()) == (1, 1)


def test_tickets_are_listed_and_read(client: APIClient, policies: Policies) -> None:
    for number in range(3):
        client.post("/api/v1/tickets", {"external_id": f"GD-{number}", "question": "电梯补贴"})
    page = client.get("/api/v1/tickets", {"page_size": 2}).json()
    one = client.get("/api/v1/tickets", {"external_id": "GD-1"}).json()["results"][0]

    assert (page["count"], len(page["results"])) == (3, 2)
    assert client.get(f"/api/v1/tickets/{one['number']}").json()["external_id"] == "GD-1"


def test_lookup_is_read_with_scores_gap_and_highlights(
    client: APIClient, policies: Policies, reranker: FakeReranker
) -> None:
    reranker.score = lambda query, c: 2.0 if "物业" in c.title else 0.0
    asked = client.post("/api/v1/lookups", {"question": "云岚市楼上漏水多久维修"}).json()
    rerank_waiting_lookups()
    body = client.get(f"/api/v1/lookups/{asked['id']}").json()

    assert body["is_final"] is True
    assert (body["gap"], body["reranker"]) == (2.0, "fake")
    assert body["gap_threshold"] > 0
    assert set(body["milliseconds"]) >= {"first_stage", "rerank"}
    first = body["results"][0]
    assert (first["rank"], first["log_odds"]) == (1, 2.0)
    assert 0 < first["relevance_score"] < 1
    passage = first["passages"][0]
    highlight = passage["highlights"][0]
    assert passage["passage"]["text"][highlight["start"] : highlight["end"]] == highlight["text"]


def test_lookup_says_how_its_question_was_understood(client: APIClient, policies: Policies) -> None:
    body = client.post("/api/v1/lookups", {"question": "请问楼上漏水多久维修"}).json()

    assert ("filler:请问", "") in [(step["key"], step["after"]) for step in body["steps"]]
    assert body["without"] == []
    assert set(body["rule_versions"]) >= {"fillers", "synonyms"}


def test_asking_and_reading_load_no_whole_texts(
    client: APIClient, policies: Policies, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    pk = client.post("/api/v1/lookups", {"question": "电梯补贴多少"}).json()["id"]
    with django_assert_max_num_queries(12) as captured:
        results = client.get(f"/api/v1/lookups/{pk}").json()["results"]

    assert results[0]["passages"][0]["passage"]["text"]
    assert not [query for query in captured.captured_queries if '"kb_documentversion"."text"' in query["sql"]]


def test_filters_and_day_are_taken(client: APIClient, policies: Policies) -> None:
    body = client.post("/api/v1/lookups", {"question": "云岚市", "regions": ["青溪区"], "as_of": "2026-01-05"}).json()

    assert [result["document"]["region"] for result in body["results"]] == ["青溪区"]
    assert body["as_of"] == "2026-01-05"


@pytest.mark.django_db(transaction=True)
def test_wait_returns_the_reranked_answer(client: APIClient, policies: Policies, reranker: FakeReranker) -> None:
    worker = threading.Thread(target=_work_until, args=(lambda: Lookup.objects.filter(state="done").exists(),))
    worker.start()
    body = client.post("/api/v1/lookups?wait=1", {"question": "云岚市电梯补贴"}).json()
    worker.join()

    assert body["is_final"] is True
    assert body["reranker"] == "fake"


@pytest.mark.django_db(transaction=True)
def test_wait_returns_what_the_machine_check_says(
    client: APIClient, policies: Policies, reranker: FakeReranker
) -> None:
    def score(query: str, candidate: Candidate) -> float:
        time.sleep(0.1 * (len(reranker.calls) > 1))  # the check takes its time
        return (6.0 if len(reranker.calls) > 1 else 1.1) if "电梯" in candidate.title else 1.0

    reranker.calibrated, reranker.score = True, score
    worker = threading.Thread(target=_work_until, args=(lambda: Lookup.objects.filter(state="done").exists(),))
    worker.start()
    body = client.post("/api/v1/lookups?wait=1", {"question": "云岚市电梯补贴"}).json()
    worker.join()

    assert (body["is_final"], body["review"]["state"]) == (True, "settled")


@pytest.mark.django_db(transaction=True)
def test_repeated_ticket_waits_for_its_lookup_too(
    client: APIClient, policies: Policies, reranker: FakeReranker
) -> None:
    ticket = {"external_id": "GD-1", "question": "云岚市电梯补贴"}
    first = client.post("/api/v1/tickets", ticket).json()["lookup"]
    worker = threading.Thread(target=_work_until, args=(lambda: Lookup.objects.filter(state="done").exists(),))
    worker.start()
    again = client.post("/api/v1/tickets?wait=1", ticket).json()["lookup"]
    worker.join()

    assert (first["is_final"], again["is_final"]) == (False, True)
    assert again["id"] == first["id"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/lookups", {"question": "电梯补贴"}),
        ("/api/v1/rerank", {"query": "电梯", "documents": [{"id": "a", "content": "电梯"}]}),
    ],
)
def test_unknown_instruction_is_refused(client: APIClient, policies: Policies, path: str, body: dict[str, Any]) -> None:
    response = client.post(path, {**body, "instruction": "complaints"})

    assert_problem(response, 422, "unknown_instruction")
    assert not Lookup.objects.exists()


def test_wait_ends_with_the_latency_budget(client: APIClient, policies: Policies, settings: Settings) -> None:
    settings.RERANK_LATENCY_BUDGET_SECONDS = -0.8
    began = time.monotonic()
    body = client.post("/api/v1/lookups?wait=1", {"question": "电梯补贴"}).json()

    assert body["is_final"] is False
    assert body["results"]
    assert time.monotonic() - began < 3


@pytest.mark.django_db(transaction=True)
def test_rerank_orders_the_callers_documents(client: APIClient, reranker: FakeReranker) -> None:
    reranker.score = lambda query, c: float(len(c.text))
    documents = [{"id": "短", "title": "甲", "content": "一"}, {"id": "长", "title": "乙", "content": "一二三"}]
    worker = threading.Thread(target=_work_until, args=(lambda: bool(reranker.calls),))
    worker.start()
    response = client.post("/api/v1/rerank", {"query": "问", "documents": documents})
    worker.join()

    body = response.json()
    assert body["reranked_ids"] == ["长", "短"]
    assert body["log_odds"] == [3.0, 1.0]
    assert all(0 < score < 1 for score in body["scores"])
    assert body["scores"] == sorted(body["scores"], reverse=True)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"query": "问"}, "documents"),
        ({"query": "问", "documents": []}, "documents.non_field_errors"),
        ({"query": "", "documents": [{"id": "1", "content": "a"}]}, "query"),
        ({"query": "问", "documents": [{"id": "1", "content": "a"}, {"id": "1", "content": "b"}]}, "documents"),
    ],
)
def test_wrong_rerank_request_names_the_field(client: APIClient, payload: dict[str, Any], field: str) -> None:
    response = client.post("/api/v1/rerank", payload)

    assert_problem(response, 400, "invalid")
    assert field in {error["field"] for error in response.json()["errors"]}


def test_rerank_without_a_worker_says_busy(client: APIClient, settings: Settings) -> None:
    settings.RERANK_LATENCY_BUDGET_SECONDS = -1.9

    assert_problem(
        client.post("/api/v1/rerank", {"query": "问", "documents": [{"id": "1", "content": "a"}]}),
        503,
        "reranker_busy",
    )


def test_documents_are_listed_searched_and_read(client: APIClient, policies: Policies) -> None:
    page = client.get("/api/v1/documents").json()
    assert page["count"] == 3
    found = client.get("/api/v1/documents", {"q": "云府办规"}).json()["results"]
    assert [document["versions"][0]["title"] for document in found] == ["云岚市既有住宅加装电梯办法"]
    version = client.get(f"/api/v1/versions/{policies['lift'].pk}").json()
    assert version["text"] == policies["lift"].text
    assert version["status"] == "in_force"
    assert client.get(f"/api/v1/documents/{policies['lift'].document_id}").status_code == 200


def test_restricted_documents_stay_with_their_department(client: APIClient, policies: Policies) -> None:
    inside = Department.objects.create(code="housing", name="住建局")
    correct_metadata(version=policies["lift"], changes={"departments": [inside]}, by=None)
    indexing.sync_document(policies["lift"].document_id)

    assert client.get("/api/v1/documents").json()["count"] == 2
    assert client.get(f"/api/v1/versions/{policies['lift'].pk}").status_code == 404
    APIKey.objects.update(department=inside)
    assert client.get("/api/v1/documents").json()["count"] == 3


def test_upload_is_kept_and_the_same_file_recognised(client: APIClient) -> None:
    def send() -> Any:
        file = io.BytesIO("办法\n第一条 内容。".encode())
        file.name = "办法.txt"
        return client.post("/api/v1/documents", {"file": file}, format="multipart")

    first, again = send(), send()
    assert (first.status_code, again.status_code) == (202, 200)
    upload = client.get(f"/api/v1/uploads/{first.json()['id']}").json()
    assert (upload["state"], upload["name"]) == ("waiting", "办法.txt")


def test_empty_upload_is_refused_with_a_code(client: APIClient) -> None:
    file = io.BytesIO(b"")
    file.name = "空.txt"
    assert_problem(client.post("/api/v1/documents", {"file": file}, format="multipart"), 400, "empty")
    assert Upload.objects.get().error_code == "empty"


@pytest.mark.parametrize("path", ["tickets", "lookups/1", "documents", "uploads/1", "status"])
def test_key_without_scope_is_refused(powerless: APIClient, path: str) -> None:
    assert_problem(powerless.get(f"/api/v1/{path}"), 403, "missing_scope")


def test_unknown_expired_and_missing_keys_are_refused(policies: Policies) -> None:
    client = APIClient()
    assert_problem(client.get("/api/v1/tickets"), 401, "not_authenticated")
    client.credentials(HTTP_AUTHORIZATION="Api-Key nonsense.key")
    assert_problem(client.get("/api/v1/tickets"), 401, "invalid_api_key")
    expired = make_client("tickets")
    APIKey.objects.update(expiry_date=timezone.now() - timedelta(days=1))
    assert_problem(expired.get("/api/v1/tickets"), 401, "expired_api_key")


def test_keys_are_stored_hashed(client: APIClient) -> None:
    key = client._credentials["HTTP_AUTHORIZATION"].removeprefix("Api-Key ")
    assert key.split(".")[1] not in APIKey.objects.get().hashed_key


def test_missing_things_and_methods_are_problems_too(client: APIClient) -> None:
    assert_problem(client.get("/api/v1/lookups/999"), 404, "not_found")
    assert_problem(client.delete("/api/v1/tickets"), 405, "method_not_allowed")
    assert_problem(client.post("/api/v1/lookups", "{", content_type="application/json"), 400, "parse_error")
    assert_problem(client.post("/api/v1/tickets", {"question": ""}), 400, "invalid")


def test_search_engine_down_is_a_503(client: APIClient, settings: Settings) -> None:
    settings.SEARCH_URL = "file:///nonexistent/index"
    assert_problem(client.post("/api/v1/lookups", {"question": "电梯"}), 503, "search_unavailable")


def test_too_many_calls_are_told_when_to_return(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from hotline.api.throttling import KeyRateThrottle

    monkeypatch.setattr(KeyRateThrottle, "rate", "2/min", raising=False)
    for _ in range(2):
        assert client.get("/api/v1/tickets").status_code == 200
    response = client.get("/api/v1/tickets")
    assert_problem(response, 429, "throttled")
    assert int(response["Retry-After"]) > 0


def test_status_names_engine_and_queues(client: APIClient, policies: Policies) -> None:
    body = client.get("/api/v1/status").json()

    assert body["search"]["is_available"] is True
    assert body["published_versions"] == 3
    assert body["reranker"]["configured"] == "lexical"


def test_schema_is_valid_and_its_page_needs_no_other_host(client: APIClient) -> None:
    from django.core.management import call_command

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")
    page = client.get("/api/v1/docs").content.decode()
    assert "http://" not in page.replace("http://testserver", "")
    assert "https://" not in page


def _work_until(is_done: Any) -> None:
    """A worker in a thread, at most five seconds."""
    deadline = time.monotonic() + 5
    try:
        while time.monotonic() < deadline and not is_done():
            rerank_waiting_lookups()
            rerank_waiting_jobs()
            time.sleep(0.02)
    finally:
        connection.close()
