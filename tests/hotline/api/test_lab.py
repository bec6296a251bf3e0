"""/api/v1/lab/: comparing settings and running files of questions from elsewhere."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from hotline.models import LabRun
from hotline.services.lab_runs import work_on_run
from kb.models import DocumentVersion
from tests.hotline.api.conftest import make_client
from tests.hotline.api.test_api import assert_problem
from tests.hotline.test_lab_runs import make_file

pytestmark = pytest.mark.django_db
Policies = dict[str, DocumentVersion]
QUESTION = "云岚市楼上漏水物业不管，多久维修"


def post_file(client: APIClient, data: bytes, **fields: str) -> object:
    file = SimpleUploadedFile("问题.csv", data)
    return client.post("/api/v1/lab/runs", {"file": file, **fields}, format="multipart")


def test_key_needs_the_scope() -> None:
    client = make_client("tickets", "lookups")

    assert_problem(client.post("/api/v1/lab/compare", {"question": "问"}), 403, "missing_scope")
    assert_problem(client.get("/api/v1/lab/runs"), 403, "missing_scope")


def test_first_stage_is_compared_with_the_live_settings(policies: Policies) -> None:
    response = make_client("lab").post("/api/v1/lab/compare", {"question": QUESTION})

    assert response.status_code == 200
    first, second = response.json()["first"], response.json()["second"]
    assert (first["reranker"], second["reranker"]) == (None, "lexical")
    best = second["documents"][0]
    assert best["title"] == "云岚市物业管理条例"
    assert (best["rank"], best["other_rank"], best["movement"]) == (1, 1, "=")
    assert best["log_odds"] is not None
    assert first["documents"][0]["log_odds"] is None


def test_any_two_settings_are_compared(policies: Policies) -> None:
    settings = {"first": {"rankings": ["words"], "reranker": "none"}, "second": {"reranker": "lexical"}}
    response = make_client("lab").post("/api/v1/lab/compare", {"question": QUESTION, **settings})

    assert response.json()["first"]["settings"]["rankings"] == ["words"]


@pytest.mark.parametrize("given", [{"reranker": "x"}, {"engine": 1}, ["words"]])
def test_unusable_settings_are_a_problem(policies: Policies, given: object) -> None:
    response = make_client("lab").post("/api/v1/lab/compare", {"question": QUESTION, "first": given})

    assert_problem(response, 400, "invalid")
    assert response.json()["errors"][0]["field"] == "first"
    assert response.json()["errors"][0]["code"] == "invalid_settings"


def test_unknown_index_is_a_problem(policies: Policies) -> None:
    body = {"question": QUESTION, "first": {"index": "nothing"}}
    assert_problem(make_client("lab").post("/api/v1/lab/compare", body), 400, "unknown_index")


def test_file_is_run_read_and_exported(policies: Policies) -> None:
    client = make_client("lab")
    response = post_file(client, make_file(), settings=json.dumps({"reranker": "none"}))
    assert response.status_code == 202  # type: ignore[attr-defined]
    run = LabRun.objects.get()
    address = f"/api/v1/lab/runs/{run.pk}"
    assert client.get(address).json()["questions_done"] == 0
    assert run.settings["reranker"] == "none"
    assert run.api_key is not None

    work_on_run(run_id=run.pk, seconds=60)
    body = client.get(address).json()
    assert (body["state"], body["questions_done"]) == ("done", 50)
    assert body["figures"]["measured"]["top1"] == 100
    rows = client.get(f"{address}/rows", {"page_size": 5}).json()
    assert (rows["count"], len(rows["results"])) == (50, 5)
    assert rows["results"][0]["measured"]["right_rank"] == 1
    assert client.get(f"{address}/rows", {"show": "worse"}).json()["count"] == 0
    assert client.get(f"{address}/export").content.startswith("\ufeff序号".encode())
    assert client.get(f"{address}/export", {"as": "xlsx"}).content.startswith(b"PK")
    assert_problem(client.get(f"{address}/export", {"as": "pdf"}), 400, "unknown_format")
    assert client.get("/api/v1/lab/runs").json()["count"] == 1


def test_unusable_file_is_a_problem(policies: Policies) -> None:
    assert_problem(post_file(make_client("lab"), make_file(3)), 400, "wrong_number_of_questions")


def test_unknown_run_is_a_problem() -> None:
    for path in ("", "/rows", "/export"):
        assert_problem(make_client("lab").get(f"/api/v1/lab/runs/99{path}"), 404, "not_found")
