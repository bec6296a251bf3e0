"""Runs of the laboratory: started from a file, watched, read, exported and compared."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from io import BytesIO, StringIO

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from hotline.models import LabRow, LabRun, User
from hotline.rerankers import load_lexical_model
from hotline.services.lab_runs import work_on_run
from kb.engine import get_search_engine
from kb.models import Department, DocumentVersion
from kb.search.types import SearchEngine
from kb.services.versions import correct_metadata
from tests.factories import make_user
from tests.hotline.test_lab_runs import make_file
from tests.hotline.views.conftest import HTMX
from tests.policies import publish_samples

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def policies(db: None, engine: SearchEngine) -> dict[str, DocumentVersion]:
    return publish_samples()


def start(client: Client, data: bytes | None = None, name: str = "问题.csv", **settings: str) -> HttpResponse:
    file = SimpleUploadedFile(name, make_file() if data is None else data)
    return client.post(reverse("lab_runs"), {"file": file, "b-reranker": "none", **settings})


def finish(client: Client, **settings: str) -> LabRun:
    start(client, **settings)
    run = LabRun.objects.latest("id")
    work_on_run(run_id=run.pk, seconds=60)
    run.refresh_from_db()
    return run


def fetch(client: Client, name: str, *args: object, **query: str) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def test_file_starts_a_run_that_is_watched(reviewer_client: Client) -> None:
    response = start(reviewer_client)

    run = LabRun.objects.get()
    assert response["Location"] == reverse("lab_run", args=[run.pk])
    page = fetch(reviewer_client, "lab_run", run.pk)
    assert "0 / 50" in page
    assert 'hx-trigger="every 2s"' in page

    work_on_run(run_id=run.pk, seconds=0)
    polled = reviewer_client.get(reverse("lab_run", args=[run.pk]), headers=HTMX)
    assert "4 / 50" in polled.content.decode()
    assert "HX-Refresh" not in polled
    work_on_run(run_id=run.pk, seconds=60)
    assert reviewer_client.get(reverse("lab_run", args=[run.pk]), headers=HTMX)["HX-Refresh"] == "true"


def test_unusable_file_or_settings_are_refused_in_chinese(reviewer_client: Client) -> None:
    short = start(reviewer_client, data=make_file(3))
    wrong = start(reviewer_client, **{"b-first_share_threshold": "7"})

    assert short.status_code == 400
    assert "有 3 个问题" in short.content.decode()
    assert wrong.status_code == 400
    assert "首位占比阈值" in wrong.content.decode()
    assert reviewer_client.post(reverse("lab_runs"), {}).status_code == 400
    assert not LabRun.objects.exists()


def test_figures_stand_against_the_baseline(reviewer_client: Client) -> None:
    run = finish(reviewer_client)
    page = fetch(reviewer_client, "lab_run", run.pk)

    assert "Top-1" in page
    assert "100.0" in page
    assert "34 个问题有正确答案" in page
    assert "找不到：没有这个办法" in page
    assert "hx-trigger" not in page
    assert f"{run.pk} 号" in fetch(reviewer_client, "lab_runs")


def test_questions_are_paged_and_filtered(reviewer_client: Client) -> None:
    run = finish(reviewer_client)
    LabRow.objects.filter(run=run, ordinal=2).update(change="worse")

    assert "第 1 / 3 页" in fetch(reviewer_client, "lab_run", run.pk)
    worse = fetch(reviewer_client, "lab_run", run.pk, show="worse")
    assert "共 1 条" in worse
    assert "变差" in worse
    assert "没有这样的问题" in fetch(reviewer_client, "lab_run", run.pk, show="better")
    assert "共 16 条" in fetch(reviewer_client, "lab_run", run.pk, show="unknown")


def test_questions_are_exported_without_formulas(reviewer_client: Client) -> None:
    run = finish(reviewer_client)
    LabRow.objects.filter(run=run, ordinal=1).update(question="=HYPERLINK(1)", category="complaint")

    text = reviewer_client.get(reverse("lab_run_csv", args=[run.pk])).content.decode("utf-8-sig")
    rows = list(csv.DictReader(StringIO(text)))
    assert len(rows) == 50
    assert rows[0]["问题"] == "'=HYPERLINK(1)"
    assert (rows[0]["业务类型"], rows[1]["业务类型"]) == ("投诉举报", "")
    assert (rows[0]["试验名次"], rows[0]["变化"], rows[2]["变化"]) == ("1", "不变", "无答案")
    assert rows[0]["试验第一名"] == "云岚市既有住宅加装电梯办法"
    response = reviewer_client.get(reverse("lab_run_xlsx", args=[run.pk]))
    sheet = openpyxl.load_workbook(BytesIO(response.content)).active
    assert sheet is not None
    assert sheet.max_row == 51
    assert (sheet["B2"].value, sheet["C1"].value, sheet["C2"].value) == ("'=HYPERLINK(1)", "业务类型", "投诉举报")


def test_titles_for_other_departments_are_not_shown(
    reviewer_client: Client, sign_in: Callable[[User], Client], policies: dict[str, DocumentVersion]
) -> None:
    run = finish(sign_in(make_user("knowledge_administrator")))
    inside = Department.objects.create(code="housing", name="住建局")
    correct_metadata(version=policies["lift"], changes={"departments": [inside]}, by=None)

    page = fetch(reviewer_client, "lab_run", run.pk)
    assert "云岚市物业管理条例" in page
    assert "加装电梯办法" not in page
    assert "加装电梯办法" not in reviewer_client.get(reverse("lab_run_csv", args=[run.pk])).content.decode()


def test_unfinished_run_is_exported_as_far_as_it_is(reviewer_client: Client) -> None:
    start(reviewer_client)
    run = LabRun.objects.get()
    work_on_run(run_id=run.pk, seconds=0)

    rows = list(csv.reader(StringIO(reviewer_client.get(reverse("lab_run_csv", args=[run.pk])).content.decode())))
    assert len(rows) == 51
    assert {len(row) for row in rows} == {len(rows[0])}


def test_run_is_stopped_and_resumed(reviewer_client: Client) -> None:
    start(reviewer_client)
    run = LabRun.objects.get()
    reviewer_client.post(reverse("lab_run_stop", args=[run.pk]))
    assert "从断处继续" in fetch(reviewer_client, "lab_run", run.pk)
    assert reviewer_client.post(reverse("lab_run_stop", args=[run.pk])).status_code == 409

    reviewer_client.post(reverse("lab_run_resume", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == "waiting"


def test_runs_are_compared_with_one_another(reviewer_client: Client) -> None:
    first = finish(reviewer_client)
    second = finish(reviewer_client, **{"b-reranker": "lexical"})
    response = reviewer_client.get(reverse("lab_runs_compare"), {"run": [first.pk, second.pk]})

    page = response.content.decode()
    assert f"<th>{first.pk} 号</th><th>{second.pk} 号</th>" in page
    assert "MRR@5" in page
    assert "不能直接相比" not in page
    one = reviewer_client.get(reverse("lab_runs_compare"), {"run": [first.pk, "x"]})
    assert one.status_code == 400
    assert "请勾选两到四次" in one.content.decode()


def test_runs_say_what_they_were_measured_on(reviewer_client: Client) -> None:
    first = finish(reviewer_client, **{"b-reranker": "lexical"})
    old = {"index": ["old-index"], "dictionary": ["随产品"]}
    LabRun.objects.filter(pk=first.pk).update(measured_on={"measured": old})
    second = finish(reviewer_client, **{"b-reranker": "lexical"})

    assert second.file_digest == first.file_digest == hashlib.sha256(make_file(50)).hexdigest()
    revision = load_lexical_model().revision
    live = get_search_engine().live_index()
    expected = {"index": [live], "dictionary": ["随产品"], "reranker": [f"lexical {revision}"], "embedder": []}
    assert second.measured_on == {"measured": expected, "baseline": expected}
    assert f"索引 {live} · 词典 随产品 · 重排 lexical {revision}" in fetch(reviewer_client, "lab_run", second.pk)
    compared = reviewer_client.get(reverse("lab_runs_compare"), {"run": [first.pk, second.pk]}).content.decode()
    assert "测于不同的索引" in compared
    assert "old-index" in compared
    LabRun.objects.filter(pk=first.pk).update(file_digest="0" * 64)  # the same name, another content
    compared = reviewer_client.get(reverse("lab_runs_compare"), {"run": [first.pk, second.pk]}).content.decode()
    assert "不能直接相比" in compared


def test_run_says_what_failed_half_way(reviewer_client: Client) -> None:
    run = finish(reviewer_client)
    figures = {name: {**run.figures[name], "notices": notices} for name, notices in _NOTICES.items()}
    LabRun.objects.filter(pk=run.pk).update(figures={**run.figures, **figures})

    page = fetch(reviewer_client, "lab_run", run.pk)

    assert "语义召回不可用，只按字词检索（7 个问题）" in page


_NOTICES = {"measured": {"semantic_unavailable": 7}, "baseline": {"semantic_unavailable": 3}}
