"""The status page: what runs, in words, for administrators."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from hotline import semantic_recall
from hotline.embedders import read_trouble
from hotline.system_status import describe_system
from hotline.views.status import list_sections
from hotline.worker_status import publish_status
from kb.embedding import EmbeddingFailed
from kb.fingerprints import build_fingerprints
from kb.models import DictionaryRelease, DocumentVersion
from kb.search.types import SearchFilter
from tests.embedders import FakeEmbedder
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_published() -> None:
    cache.clear()


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(make_user("knowledge_administrator"))
    return client


def read_rows(system: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {row.name: (row.value, row.level) for _, rows in list_sections(system) for row in rows}


def test_an_administrator_sees_what_runs(
    client: Client, policies: dict[str, DocumentVersion], released: DictionaryRelease
) -> None:
    publish_status("rerank@one")

    page = client.get(reverse("kb:documents")).content.decode()
    assert reverse("system_status") in page
    page = client.get(reverse("system_status")).content.decode()

    for said in ("检索引擎", "lexical", "没有打开", f"第 {released.pk} 版", "等待重排的检索"):
        assert said in page


def test_agents_do_not_see_it(agent_client: Client) -> None:
    assert agent_client.get(reverse("system_status")).status_code == 403


def test_recall_by_meaning_is_described(policies: dict[str, DocumentVersion], settings: Settings) -> None:
    settings.EMBEDDING_URL = "http://embedding:8100"
    build_fingerprints(FakeEmbedder())
    DocumentVersion.objects.filter(pk=policies["leak"].pk).update(state=DocumentVersion.State.WITHDRAWN)

    semantic = describe_system()["semantic"]

    assert semantic["is_configured"]
    assert semantic["searchable_versions"] == 2
    (space,) = semantic["spaces"]
    assert (space["embedder"], space["versions"]) == (FakeEmbedder().space.revision, 2)
    assert semantic["last_trouble"] is None


def test_last_trouble_with_the_embedder_is_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise EmbeddingFailed("connection refused")

    monkeypatch.setattr(semantic_recall, "get_query_embedder", FakeEmbedder)
    monkeypatch.setattr(semantic_recall, "rank_by_meaning", fail)
    semantic_recall.recall_by_meaning("楼上漏水", SearchFilter(as_of=timezone.localdate()))

    trouble = read_trouble()
    assert trouble is not None
    assert trouble["error"] == "connection refused"
    value, level = read_rows(describe_system())["最近的故障"]
    assert value.endswith("connection refused")
    assert level == "doubt"


def test_a_worker_with_another_setting_stands_out(settings: Settings) -> None:
    assert read_rows(describe_system())["工作进程"] == ("5 分钟内没有重排的工作进程报告", "doubt")
    publish_status("rerank@one")
    settings.RERANKER = "auto"

    rows = read_rows(describe_system())
    assert rows["配置不一"][1] == "danger"
    assert rows["rerank@one"][0].startswith("lexical ")
