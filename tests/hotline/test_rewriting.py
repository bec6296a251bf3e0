"""Rewrites by a language model, against real servers that answer as they are told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from hotline import rewriting
from hotline.rewriting import LARGEST_ANSWER, ModelRewriter, RewriteOptions, RewriteUnavailable
from tests.reranking.serving import HANG_UP, Answer, ScriptedHost, serve_script

QUESTION = "楼上漏水物业3个月不管怎么办"
GOOD = {
    "synonyms": "楼上渗漏物业3个月不处理怎么办",
    "expanded": "业主楼上漏水，物业服务企业3个月不管怎么办",
    "policy_form": "物业服务企业3个月不履行维修责任如何处理？",
}


def complete(answer: Any = GOOD, status: int = 200) -> Answer:
    said = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    body = {"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]}
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


@contextmanager
def connect(script: Callable[[int, bytes], Answer], **options: Any) -> Iterator[tuple[ModelRewriter, ScriptedHost]]:
    with serve_script(script) as host:
        settings = {"timeout": 10.0, **options}
        with closing(ModelRewriter(RewriteOptions(f"{host.url}/v1", "qwen", **settings))) as rewriter:
            yield rewriter, host


def test_three_rewrites_come_back() -> None:
    with connect(lambda number, body: complete(), api_key="k") as (rewriter, host):
        answer = rewriter.rewrite(QUESTION)

    assert {rewrite.kind: rewrite.text for rewrite in answer.rewrites} == GOOD
    assert answer.dropped == 0
    assert host.paths == ["/v1/chat/completions"]
    assert host.headers[0]["Authorization"] == "Bearer k"
    sent = json.loads(host.bodies[0])
    assert sent["model"] == "qwen"
    assert sent["messages"][-1] == {"role": "user", "content": QUESTION}


def test_fenced_answer_is_read() -> None:
    said = f"```json\n{json.dumps(GOOD, ensure_ascii=False)}\n```"
    with connect(lambda number, body: complete(said)) as (rewriter, _):
        assert len(rewriter.rewrite(QUESTION).rewrites) == 3


@pytest.mark.parametrize(
    "changed",
    [
        "物业2个月不管楼上漏水怎么办",
        "物业不管楼上漏水怎么办",
        "物业3个月管了楼上漏水怎么办",
        "物业3个月从2025年起不管楼上漏水怎么办",
        "王先生楼上漏水物业3个月不管怎么办",
        "物业3个月不管楼上漏水，请拨13812345678",
    ],
)
def test_rewrite_that_says_something_else_is_dropped(changed: str) -> None:
    with connect(lambda number, body: complete({**GOOD, "expanded": changed})) as (rewriter, _):
        answer = rewriter.rewrite(QUESTION)

    assert [rewrite.kind for rewrite in answer.rewrites] == ["synonyms", "policy_form"]
    assert answer.dropped == 1


def test_rewrite_that_repeats_the_question_or_another_is_left_out() -> None:
    answer = {"synonyms": QUESTION, "expanded": GOOD["expanded"], "policy_form": GOOD["expanded"]}
    with connect(lambda number, body: complete(answer)) as (rewriter, _):
        found = rewriter.rewrite(QUESTION)

    assert [rewrite.kind for rewrite in found.rewrites] == ["expanded"]
    assert found.dropped == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}}]}',
        b"[" * 50_000,
        complete("好的，改写如下：……")[2],
        complete([GOOD])[2],
        complete({**GOOD, "extra": "x"})[2],
        complete({"synonyms": "a", "expanded": "b"})[2],
        complete({**GOOD, "synonyms": ["a"]})[2],
        complete({**GOOD, "synonyms": " "})[2],
        complete({**GOOD, "synonyms": "一\n二"})[2],
        complete({**GOOD, "synonyms": "长" * 301})[2],
    ],
    ids=lambda content: content[:40].decode(),
)
def test_answer_of_another_form_is_refused(content: bytes) -> None:
    with (
        connect(lambda number, body: (200, {}, content)) as (rewriter, host),
        pytest.raises(RewriteUnavailable, match="不合格式"),
    ):
        rewriter.rewrite(QUESTION)

    assert len(host.bodies) == 1


def test_endless_answer_is_refused() -> None:
    with (
        connect(lambda number, body: (200, {}, b" " * (LARGEST_ANSWER + 1))) as (rewriter, _),
        pytest.raises(RewriteUnavailable, match="过长"),
    ):
        rewriter.rewrite(QUESTION)


@pytest.mark.parametrize(("status", "asked"), [(500, 1), (401, 1), (302, 1), (503, 2), (429, 2)])
def test_refusals_are_said_and_only_passing_faults_tried_again(status: int, asked: int) -> None:
    with (
        connect(lambda number, body: complete(status=status)) as (rewriter, host),
        pytest.raises(RewriteUnavailable, match=str(status)),
    ):
        rewriter.rewrite(QUESTION)

    assert len(host.bodies) == asked


@pytest.mark.parametrize("first", [(503, {}, b""), (HANG_UP, {}, b"")])
def test_second_try_succeeds(first: Answer) -> None:
    with connect(lambda number, body: complete() if number else first) as (rewriter, host):
        assert len(rewriter.rewrite(QUESTION).rewrites) == 3

    assert len(host.bodies) == 2


def test_late_answer_is_not_waited_for_nor_asked_for_again() -> None:
    let_go = threading.Event()

    def script(number: int, body: bytes) -> Answer:
        let_go.wait(20)
        return complete()

    with connect(script, timeout=0.3) as (rewriter, host):
        began = time.monotonic()
        with pytest.raises(RewriteUnavailable, match=r"0\.3 秒"):
            rewriter.rewrite(QUESTION)
        waited = time.monotonic() - began
        let_go.set()

    assert waited < 10
    assert len(host.bodies) == 1


def test_host_that_is_not_there_is_said() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with (
        closing(ModelRewriter(RewriteOptions(url, "qwen", timeout=5))) as rewriter,
        pytest.raises(RewriteUnavailable, match="连不上"),
    ):
        rewriter.rewrite(QUESTION)


def test_host_that_fails_repeatedly_is_left_alone() -> None:
    with connect(lambda number, body: complete(status=500), breaker_threshold=2) as (rewriter, host):
        for expected in ("500", "500", "暂停"):
            with pytest.raises(RewriteUnavailable, match=expected):
                rewriter.rewrite(QUESTION)

    assert len(host.bodies) == 2


def test_wrong_key_is_no_fault_of_the_host() -> None:
    with connect(lambda number, body: complete(status=401), breaker_threshold=1) as (rewriter, host):
        for _ in range(3):
            with pytest.raises(RewriteUnavailable, match="401"):
                rewriter.rewrite(QUESTION)

    assert len(host.bodies) == 3


def test_no_more_wait_than_there_are_turns() -> None:
    came, let_go = threading.Event(), threading.Event()

    def script(number: int, body: bytes) -> Answer:
        came.set()
        let_go.wait(20)
        return complete()

    with connect(script, concurrency=1) as (rewriter, _):
        waiting = threading.Thread(target=rewriter.rewrite, args=(QUESTION,))
        waiting.start()
        assert came.wait(20)
        with pytest.raises(RewriteUnavailable, match="正忙"):
            rewriter.rewrite(QUESTION)
        let_go.set()
        waiting.join(20)

        assert len(rewriter.rewrite(QUESTION).rewrites) == 3


def test_personal_data_is_never_sent() -> None:
    with connect(lambda number, body: complete()) as (rewriter, host):
        rewriter.rewrite("我叫张三，电话13812345678，住3栋2单元502室，楼上漏水")

    sent = host.bodies[0].decode("unicode-escape")
    for private in ("张三", "1381", "5678", "3栋", "502"):
        assert private not in sent


def test_question_that_masking_failed_on_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "prepare_for_sending", lambda text: text)
    with (
        connect(lambda number, body: complete()) as (rewriter, host),
        pytest.raises(RewriteUnavailable, match="个人信息"),
    ):
        rewriter.rewrite("电话13812345678，楼上漏水")

    assert host.bodies == []


def test_question_of_personal_data_alone_is_not_sent() -> None:
    with (
        connect(lambda number, body: complete()) as (rewriter, host),
        pytest.raises(RewriteUnavailable, match="没有可改写"),
    ):
        rewriter.rewrite("13812345678")

    assert host.bodies == []


def test_question_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level("DEBUG", logger="hotline"),
        connect(lambda number, body: complete("楼上漏水")) as (rewriter, _),
        pytest.raises(RewriteUnavailable),
    ):
        rewriter.rewrite(QUESTION)

    assert "漏水" not in caplog.text
    assert caplog.text
