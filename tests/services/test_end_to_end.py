"""From an uploaded file to the highlighted answer, through real processes; and what kills do not lose."""

from __future__ import annotations

import os
import signal

import pytest

from tests.services.stack import Stack, is_idle, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

POLICY = (
    "云岚市既有住宅加装电梯办法\n云府办规〔2025〕8号\n\n第一条 既有住宅可以加装电梯。\n"
    "第二条 每台电梯补贴十万元，由区住房城乡建设局发放。\n第三条 本办法自2025年3月1日起施行。\n"
)
PUBLISH = (
    "from kb.models import *; from kb.services.versions import publish_versions; "
    "publish_versions(versions=list(DocumentVersion.objects.all()), by=None)"
)


def test_from_the_file_to_the_highlighted_answer(stack: Stack) -> None:
    stack.start_web()
    stack.start_worker("main", "default,index,parse")
    stack.start_worker("rerank", "rerank")
    with stack.client() as client:
        sent = client.post("documents", files={"file": ("办法.txt", POLICY.encode())})
        assert sent.status_code == 202
        upload = wait_for(lambda: _parsed(client.get(f"uploads/{sent.json()['id']}").json()))
        assert len(upload["versions"]) == 1

        stack.manage("shell", "--verbosity", "0", "-c", PUBLISH)
        wait_for(lambda: client.get("status").json()["search"]["stale_documents"] == 0)

        answer = wait_for(lambda: _reranked(client.post("lookups?wait=1", json={"question": "电梯补贴多少钱"}).json()))
        assert answer["reranker"] == "lexical"
        first = answer["results"][0]
        assert first["document"]["document_number"] == "云府办规〔2025〕8号"
        assert any("十万元" in mark["text"] for passage in first["passages"] for mark in passage["highlights"])
        assert client.get("status").json()["reranker"]["name"] == "lexical"

        reranked = client.post(
            "rerank",
            json={
                "query": "电梯补贴",
                "documents": [{"id": "a", "content": "租金"}, {"id": "b", "content": "电梯补贴十万元"}],
            },
        )
        assert reranked.json()["reranked_ids"] == ["b", "a"]


def test_killed_worker_loses_nothing(stack: Stack) -> None:
    publish_sample(stack)
    stack.start_web()
    worker = stack.start_worker("rerank", "rerank")
    with stack.client() as client:
        wait_for(lambda: _reranked(client.post("lookups?wait=1", json={"question": "电梯补贴"}).json()))
        os.killpg(worker.pid, signal.SIGSTOP)  # it holds what it has claimed, and answers nothing
        asked = [client.post("lookups", json={"question": f"电梯补贴{number}"}).json()["id"] for number in range(5)]
        stack.kill("rerank")
        stack.start_worker("rerank-2", "rerank")
        stack.start("beat", "celery", "-A", "hotline", "beat")
        wait_for(lambda: all(client.get(f"lookups/{pk}").json()["is_final"] for pk in asked), seconds=90)


def test_killed_idle_child_is_replaced(stack: Stack) -> None:
    """The one that waits for the next task as much as the one that waits for its turn."""
    publish_sample(stack)
    stack.start_web()
    stack.start_worker("rerank", "rerank", concurrency=2)
    with stack.client() as client:
        wait_for(lambda: _reranked(client.post("lookups?wait=1", json={"question": "电梯补贴"}).json()))
        for child in stack.children("rerank"):
            wait_for(lambda pid=child: is_idle(pid))
            os.kill(child, signal.SIGKILL)
            asked = client.post("lookups", json={"question": "加装电梯"}).json()["id"]
            wait_for(lambda pk=asked: client.get(f"lookups/{pk}").json()["is_final"])
            wait_for(lambda: len(stack.children("rerank")) == 2)


@pytest.mark.service
def test_two_workers_share_the_queue_and_never_a_lookup(production: Stack) -> None:
    publish_sample(production)
    production.start_web()
    production.start_worker("rerank-1", "rerank")
    production.start_worker("rerank-2", "rerank")
    with production.client() as client:
        asked = [client.post("lookups", json={"question": f"电梯补贴{number}"}).json()["id"] for number in range(30)]
        wait_for(lambda: all(client.get(f"lookups/{pk}").json()["is_final"] for pk in asked))

    assert production.evaluate("sorted(set(Lookup.objects.values_list('attempts', flat=True)))") == "[1]"


def test_rebuild_while_the_desk_is_asked(stack: Stack) -> None:
    publish_sample(stack)
    stack.start_web()
    with stack.client() as client:
        stack.manage("reindex", "--rebuild")
        assert client.post("lookups", json={"question": "电梯补贴"}).json()["results"]
        stack.manage("reindex", "--rebuild")
        assert client.post("lookups", json={"question": "电梯补贴"}).json()["results"]
        stack.manage("reindex", "--check")


def publish_sample(stack: Stack) -> None:
    file = stack.folder / "办法.txt"
    file.write_text(POLICY)
    stack.manage("import_documents", str(file))
    stack.manage("reindex", "--reconcile")


def _parsed(upload: dict) -> dict | None:
    assert upload["state"] != "refused", upload
    return upload if upload["state"] == "parsed" else None


def _reranked(lookup: dict) -> dict | None:
    return lookup if lookup["is_final"] and lookup["results"] else None
