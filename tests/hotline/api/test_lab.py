"""/api/v1/lab/: comparing settings and running files of questions from elsewhere."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from hotline.models import InstructionTemplate, LabRun
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


def test_scores_are_explained_and_advised_on(policies: Policies) -> None:
    body = {"question": QUESTION, "category": "complaint", "second": {"thresholds_by_category": {"complaint": 1.0}}}
    response = make_client("lab").post("/api/v1/lab/compare", body)

    first, second = response.json()["first"], response.json()["second"]
    best = second["documents"][0]
    why = best["explanation"]
    assert sum(item["part"] for item in why["contributions"]) + why["rest"] == pytest.approx(best["log_odds"], abs=1e-4)
    assert "漏水" in [part["token"] for hit in why["rankings"] for part in hit["tokens"]]
    assert first["documents"][0]["explanation"]["contributions"] == []
    assert [advice["kind"] for advice in first["advice"]] == ["unordered"]
    assert "low_first_share" in second["reasons"]  # by the threshold of its line of business
    assert_problem(make_client("lab").post("/api/v1/lab/compare", {**body, "category": "x"}), 400, "invalid")


def test_instructions_are_listed_with_administrators_own() -> None:
    InstructionTemplate.objects.create(key="complaint", label="投诉", text="找出处理期限")

    found = {item["key"]: item for item in make_client("lab").get("/api/v1/lab/instructions").json()}

    assert (found["complaint"]["text"], found["complaint"]["is_own"]) == ("找出处理期限", True)
    assert not found["general"]["is_own"]


def test_run_is_stopped_resumed_and_compared(policies: Policies) -> None:
    client = make_client("lab")
    for _ in range(2):
        post_file(client, make_file(), settings=json.dumps({"reranker": "none"}))
    first, second = LabRun.objects.order_by("pk")
    address = f"/api/v1/lab/runs/{first.pk}"
    assert client.post(f"{address}/stop").json()["state"] == "stopped"
    assert_problem(client.post(f"{address}/stop"), 409, "wrong_state")
    assert client.post(f"{address}/resume").json()["state"] == "waiting"
    compare = f"/api/v1/lab/runs/compare?run={first.pk}&run={second.pk}"
    assert client.get(compare).status_code == 400
    for run in (first, second):
        work_on_run(run_id=run.pk, seconds=60)

    body = client.get(compare).json()

    assert [run["id"] for run in body["runs"]] == [first.pk, second.pk]
    assert body["runs"][0]["measured_on"]["measured"]["dictionary"] == ["随产品"]
    assert (body["has_same_questions"], body["differing"]) == (True, [])


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
