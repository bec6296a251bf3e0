"""What runs and how it does, for administrators: /api/v1/status as a page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import localtime
from django.views.decorators.http import require_GET

from hotline.system_status import describe_system
from hotline.views.base import MANAGE_KNOWLEDGE, desk_view

ENGINES = {"embedded": "内嵌（tantivy）", "elasticsearch": "Elasticsearch"}


class StatusRow(NamedTuple):
    """`level`: ok, doubt (look at it) or danger (it does not work)."""

    name: str
    value: str
    level: str = "ok"


@require_GET
@desk_view(MANAGE_KNOWLEDGE)
def show_status(request: HttpRequest) -> HttpResponse:
    return render(request, "kb/status.html", {"sections": list_sections(describe_system())})


def list_sections(system: dict[str, Any]) -> list[tuple[str, list[StatusRow]]]:
    """`describe_system` in words. Pure."""
    return [
        ("检索引擎", list(_list_search(system["search"], system["published_versions"]))),
        ("重排", list(_list_reranker(system["reranker"]))),
        ("语义召回", list(_list_semantic(system["semantic"]))),
        ("词典", list(_list_dictionaries(system["dictionaries"]))),
        ("积压", list(_list_waiting(system["waiting"]))),
    ]


def _list_search(search: dict[str, Any], versions: int) -> Iterator[StatusRow]:
    yield StatusRow("引擎", ENGINES.get(search["engine"], search["engine"]))
    yield StatusRow("状态", search["detail"], "ok" if search["is_available"] else "danger")
    yield StatusRow("索引", search["index"] or "还没有建立", "ok" if search["index"] else "doubt")
    yield StatusRow("已发布的版本", str(versions))
    stale = search["stale_documents"]
    yield StatusRow("等待入索引的政策", str(stale), "doubt" if stale else "ok")


def _list_reranker(reranker: dict[str, Any]) -> Iterator[StatusRow]:
    yield StatusRow("配置", reranker["configured"])
    workers = reranker.get("workers", [])
    if not workers:
        yield StatusRow("工作进程", "5 分钟内没有重排的工作进程报告", "doubt")
    if not reranker["settings_agree"]:
        others = {str(worker["worker_setting"]) for worker in workers} - {reranker["configured"]}
        yield StatusRow("配置不一", f"重排的工作进程是 {'、'.join(sorted(others))}，实验台与比较会量错", "danger")
    for worker in workers:
        yield _describe_worker(worker)


def _describe_worker(worker: dict[str, Any]) -> StatusRow:
    name = " ".join(str(worker[key]) for key in ("name", "revision") if worker.get(key)) or "不重排"
    if worker.get("degraded"):
        name += "（退而求其次）"
    if worker.get("last_error"):
        name += f"；{_day(worker.get('last_error_at'))} 出错：{worker['last_error']}"
    return StatusRow(worker["worker"], name, "doubt" if worker.get("degraded") else "ok")


def _list_semantic(semantic: dict[str, Any]) -> Iterator[StatusRow]:
    yield StatusRow("配置", "已打开" if semantic["is_configured"] else "没有打开（EMBEDDING_URL 为空）")
    total = semantic["searchable_versions"]
    for space in semantic["spaces"]:
        done = space["versions"]
        name = f"{space['embedder']}，{space['dimension']} 维"
        yield StatusRow(name, f"{done} / {total} 个版本有语义指纹", "ok" if done >= total else "doubt")
    if semantic["is_configured"] and not semantic["spaces"]:
        yield StatusRow("语义指纹", "还没有，请运行 build_fingerprints", "doubt")
    if trouble := semantic["last_trouble"]:
        yield StatusRow("最近的故障", f"{_day(trouble['at'])} {trouble['error']}", "doubt")


def _list_dictionaries(dictionaries: dict[str, Any]) -> Iterator[StatusRow]:
    release = dictionaries["release"]
    live = f"第 {release} 版，{_day(dictionaries['live_since'])} 生效" if release else "随产品的文件，尚未写入数据库"
    yield StatusRow("使用中的词典", live)
    yield StatusRow("待生效的草稿", str(dictionaries["drafts"]))


def _list_waiting(waiting: dict[str, int]) -> Iterator[StatusRow]:
    for key, name in (("lookups", "等待重排的检索"), ("reviews", "待复核"), ("uploads", "等待解析的文件")):
        yield StatusRow(name, str(waiting[key]))


def _day(moment: str | None) -> str:
    return f"{localtime(datetime.fromisoformat(moment)):%Y-%m-%d %H:%M}" if moment else ""
