"""Settings that would do harm are said at start-up, not at the first call."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.management.base import BaseCommand

RERANKERS = ("lexical", "auto", "qwen", "remote", "none")
SOURCES = ("auto", "folder", "huggingface", "modelscope")
DTYPES = ("auto", "bfloat16", "float16", "float32")
DEVICE = re.compile(r"auto|(cpu|cuda|mps|npu|xpu)(:\d+)?")
RATE = re.compile(r"[1-9]\d*/(s|m|h|d)[a-z]*")  # what the REST framework reads, less 0


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    return [
        *_check_choices(),
        *_check_model(),
        *_check_rewriting(),
        *_check_ranges(),
        *_check_limits(),
        *_check_embedding(),
        *_check_safety(),
        *_check_compose(),
        *_check_agreement(),
    ]


def refuse_unsound_settings() -> None:
    """For servers that are started without manage.py. Raises SystemCheckError, which names what is wrong."""
    BaseCommand().check()


def _check_choices() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.RERANKER not in RERANKERS:
        found.append(Error(f"RERANKER 应为 {' | '.join(RERANKERS)}，现为 {settings.RERANKER!r}", id="hotline.E001"))
    if settings.RERANKER == "remote" and not settings.RERANKER_URL:
        found.append(Error("RERANKER=remote 时须设置 RERANKER_URL", id="hotline.E002"))
    if settings.RERANKER_API not in {"hotline", "tei", "v1"}:
        found.append(Error("RERANKER_API 应为 hotline、tei 或 v1", id="hotline.E008"))
    foreign = settings.RERANKER_URL and settings.RERANKER_API != "hotline"
    if settings.RERANKER_TEMPLATE not in ({"host", "client"} if foreign else {"", "host"}):
        found.append(Error("RERANKER_API 为 tei 或 v1 时 RERANKER_TEMPLATE 应为 host 或 client", id="hotline.E009"))
    if urlsplit(settings.SEARCH_URL).scheme not in {"file", "http", "https"}:
        found.append(Error("SEARCH_URL 应为 file:///文件夹 或 http(s)://主机:端口", id="hotline.E003"))
    return found


def _check_model() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.RERANKER_SOURCE not in SOURCES:
        found.append(Error(f"RERANKER_SOURCE 应为 {' | '.join(SOURCES)}", id="hotline.E010"))
    if settings.RERANKER_DTYPE not in DTYPES:
        found.append(Error(f"RERANKER_DTYPE 应为 {' | '.join(DTYPES)}", id="hotline.E011"))
    if not DEVICE.fullmatch(settings.RERANKER_DEVICE):
        found.append(Error("RERANKER_DEVICE 应为 auto、cpu、cuda 或 cuda:0 之类", id="hotline.E012"))
    return found


def _check_rewriting() -> list[CheckMessage]:
    if not settings.REWRITE_URL:
        return []
    found: list[CheckMessage] = []
    address = urlsplit(settings.REWRITE_URL)
    if address.scheme not in {"http", "https"} or not address.hostname:
        found.append(Error("REWRITE_URL 应为 http(s)://主机:端口/v1 之类", id="hotline.E030"))
    if not settings.REWRITE_MODEL:
        found.append(Error("设了 REWRITE_URL 时须设置 REWRITE_MODEL", id="hotline.E031"))
    if not 0.5 <= settings.REWRITE_TIMEOUT_SECONDS <= 30:
        found.append(Error("REWRITE_TIMEOUT_SECONDS 应在 0.5 到 30 之间", id="hotline.E032"))
    return found


def _check_ranges() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not 1 <= settings.CANDIDATE_LIMIT <= 200:
        found.append(Error("CANDIDATE_LIMIT 应在 1 到 200 之间", id="hotline.E004"))
    # Ranking and machine check have a lease each: either takes the budget, and storing its while.
    if settings.RERANK_LEASE_SECONDS < settings.RERANK_LATENCY_BUDGET_SECONDS + 1:
        found.append(Error("RERANK_LEASE_SECONDS 须比 RERANK_LATENCY_BUDGET_SECONDS 多 1 秒以上", id="hotline.E005"))
    if not 0 <= settings.LOW_BEST_RELEVANCE <= 1:
        found.append(Error("LOW_BEST_RELEVANCE 应在 0 到 1 之间", id="hotline.E006"))
    share = settings.FIRST_SHARE_THRESHOLD
    if share is not None and not 0 <= share <= 1:
        found.append(Error("FIRST_SHARE_THRESHOLD 应在 0 到 1 之间", id="hotline.E013"))
    if not 0 <= settings.REVIEW_SAMPLE_PERCENT <= 100:
        found.append(Error("REVIEW_SAMPLE_PERCENT 应在 0 到 100 之间", id="hotline.E020"))
    return found


def _check_limits() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not 1 <= settings.RESULT_LIMIT <= max(settings.CANDIDATE_LIMIT, 1):
        found.append(Error("RESULT_LIMIT 应在 1 到 CANDIDATE_LIMIT 之间", id="hotline.E014"))
    if min(settings.RERANK_BATCH_LOOKUPS, settings.RERANK_CPU_BATCH_LOOKUPS) < 1:
        found.append(Error("RERANK_BATCH_LOOKUPS、RERANK_CPU_BATCH_LOOKUPS 至少为 1", id="hotline.E015"))
    if settings.UPLOAD_MAX_MEGABYTES < 1:
        found.append(Error("UPLOAD_MAX_MEGABYTES 至少为 1", id="hotline.E016"))
    if min(settings.RERANKER_MAX_DOCUMENTS, settings.RERANKER_MAX_DOCUMENT_CHARACTERS) < 0:
        message = "RERANKER_MAX_DOCUMENTS、RERANKER_MAX_DOCUMENT_CHARACTERS 不能为负；0 为不限（tei 一次 32 篇）"
        found.append(Error(message, id="hotline.E018"))
    if not RATE.fullmatch(settings.API_RATE_LIMIT):
        found.append(Error("API_RATE_LIMIT 应写作 600/min、10/s 之类", id="hotline.E017"))
    return found


def _check_embedding() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    address = urlsplit(settings.EMBEDDING_URL)
    if settings.EMBEDDING_URL and (address.scheme not in {"http", "https"} or not address.hostname):
        found.append(Error("EMBEDDING_URL 应为 http(s)://主机:端口", id="hotline.E040"))
    if settings.EMBEDDING_MODEL and not settings.EMBEDDING_URL:
        found.append(Warning("设了 EMBEDDING_MODEL 而没有 EMBEDDING_URL：语义指纹照建，检索不用它", id="hotline.W040"))
    return found


def _check_safety() -> list[CheckMessage]:
    production = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    found: list[CheckMessage] = []
    if production and settings.SECRET_KEY_IS_GENERATED:
        found.append(Error("使用 PostgreSQL 时须设置 SECRET_KEY（各进程必须一致）", id="hotline.E007"))
    if production and settings.DEBUG:
        found.append(Warning("DEBUG 已打开：不要用于正式环境", id="hotline.W001"))
    return found


def _check_compose() -> list[CheckMessage]:
    """Of docker/compose.yaml: the profiles say who is there to rerank, RERANKER with what."""
    profiles, needs_gpu = set(settings.COMPOSE_PROFILES), settings.RERANKER in {"auto", "qwen"}
    found: list[CheckMessage] = []
    if {"cpu", "gpu"} <= profiles:
        found.append(Warning("COMPOSE_PROFILES 里 cpu 与 gpu 只能选一个：两种工作进程会轮流重排", id="hotline.W020"))
    if "gpu" in profiles and not needs_gpu:
        message = f"COMPOSE_PROFILES 有 gpu 而 RERANKER={settings.RERANKER}：显卡闲置。RERANKER 留空即用显卡"
        found.append(Warning(message, id="hotline.W021"))
    if "gpu" in profiles and needs_gpu and settings.RERANKER_DEVICE.startswith("cpu"):
        message = f"COMPOSE_PROFILES 有 gpu 而 RERANKER_DEVICE={settings.RERANKER_DEVICE}：显卡闲置"
        found.append(Warning(message, id="hotline.W022"))
    if "cpu" in profiles and "gpu" not in profiles and needs_gpu:
        message = f"COMPOSE_PROFILES 没有 gpu 而 RERANKER={settings.RERANKER}：worker-rerank 里没有模型"
        found.append(Warning(message, id="hotline.W023"))
    if "embedding" in profiles and not settings.EMBEDDING_URL:
        message = "COMPOSE_PROFILES 有 embedding 而 EMBEDDING_URL 为空：嵌入服务闲置，应填 http://embedding:8100"
        found.append(Warning(message, id="hotline.W024"))
    return found


def _check_agreement() -> list[CheckMessage]:
    from hotline.worker_status import find_disagreement

    if not (other := find_disagreement()):
        return []
    message = f"本进程 RERANKER={settings.RERANKER}，重排的工作进程是 {other}：实验台与生效前的比较会量错，请设为相同"
    return [Warning(message, id="hotline.W010")]
