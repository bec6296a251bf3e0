"""The reranker that the settings name, one a process, made when it is first needed (in the worker's child)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings

from hotline.live_settings import get_learned_model
from kb.segmentation import get_segmenter, load_default_dictionary
from reranking.cache import MemoryScoreCache, NullScoreCache, RedisScoreCache, ScoreCache
from reranking.fallback import RerankerChoice, RerankerConfig, choose_reranker
from reranking.lexical import LexicalReranker, make_info
from reranking.lexical_model import LexicalModel, load_model
from reranking.remote import RemoteReranker
from reranking.remote_options import RemoteOptions
from reranking.retrying import RetriedChoice
from reranking.types import Ranking, RankingRequest, Reranker, RerankerInfo

if TYPE_CHECKING:
    from reranking.qwen import QwenReranker

CHECK_SECONDS = 60.0
ENGINES: dict[str, Any] = {"lexical": "lexical", "auto": "auto", "qwen": "model", "remote": "remote"}


def get_reranker() -> Reranker | None:
    """None where the settings say `none`: lookups keep the first stage's order, and say so."""
    return None if settings.RERANKER == "none" else choose().reranker


def is_neural() -> bool:
    """Whether the settings name a reranker that reads: slow, in a worker of its own, and heeding instructions."""
    return settings.RERANKER not in {"lexical", "none"}


def choose() -> RerankerChoice:
    """What ranks in this process; a better one that could not be had is tried again later."""
    return _keep_choice().get()


@lru_cache(maxsize=1)
def _keep_choice() -> RetriedChoice:
    return RetriedChoice(
        lambda current: choose_reranker(
            _read_config(), lexical=make_lexical_reranker(), cache=_make_cache(), instead_of=current
        )
    )


def load_configured_model() -> QwenReranker:
    """The model that the settings name, without fall-back. Raises RerankerUnavailable, ImportError, OSError."""
    from reranking.fallback import load_qwen

    config = _read_config()
    return cast("QwenReranker", load_qwen(config, config.device, NullScoreCache()))


def connect_configured_host() -> RemoteReranker:
    """The host that the settings name, without fall-back and with time for a slow one. Raises ValueError."""
    options = _read_config().remote
    if options is None:
        raise ValueError("RERANKER_URL 为空")
    return RemoteReranker(replace(options, timeout=max(options.timeout, CHECK_SECONDS)))


class LiveLexicalReranker:
    """The lexical reranker with the coefficients that are live at each call; others go live while processes run."""

    @property
    def info(self) -> RerankerInfo:
        return make_info(load_lexical_model())

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        return _build_lexical_reranker(load_lexical_model()).rank(requests)


def make_lexical_reranker(model: LexicalModel | None = None) -> Reranker:
    """With the coefficients `model`; None: those that are live, now and later."""
    return LiveLexicalReranker() if model is None else _build_lexical_reranker(model)


def list_lexical_rows(request: RankingRequest) -> list[list[float]]:
    """A request's features as the lexical reranker scores them, whatever its coefficients."""
    return _build_lexical_reranker(load_lexical_model()).list_rows(request)


def load_lexical_model() -> LexicalModel:
    """The coefficients that are live, learned from use or the deployment's, with the review rules of their revision."""
    return get_learned_model() or load_deployed_model()


def _build_lexical_reranker(model: LexicalModel) -> LexicalReranker:
    """Cuts with the dictionary that coefficients are fitted with, whatever words were released since."""
    return LexicalReranker(model, segmenter=get_segmenter(load_default_dictionary()))


@lru_cache(maxsize=1)
def load_deployed_model() -> LexicalModel:
    """The coefficients that the settings name, or those that ship."""
    return load_model(Path(settings.LEXICAL_MODEL_FILE) if settings.LEXICAL_MODEL_FILE else None)


def _read_config() -> RerankerConfig:
    remote = None
    if settings.RERANKER_URL:
        remote = RemoteOptions(
            url=settings.RERANKER_URL,
            api=settings.RERANKER_API,  # type: ignore[arg-type]  # checked at start-up
            template=settings.RERANKER_TEMPLATE or None,  # type: ignore[arg-type]  # checked at start-up
            api_key=settings.RERANKER_API_KEY,
            model=settings.RERANKER_MODEL,
            timeout=settings.RERANK_LATENCY_BUDGET_SECONDS,
            max_documents=settings.RERANKER_MAX_DOCUMENTS or None,
            max_document_characters=settings.RERANKER_MAX_DOCUMENT_CHARACTERS or None,
        )
    return RerankerConfig(
        engine=ENGINES[settings.RERANKER],
        remote=remote,
        model_path=settings.RERANKER_MODEL,
        source=settings.RERANKER_SOURCE,  # type: ignore[arg-type]  # checked at start-up
        device=settings.RERANKER_DEVICE,
        dtype=settings.RERANKER_DTYPE,
        int8=settings.RERANKER_INT8,
        threads=settings.RERANKER_THREADS or None,
        max_length=settings.RERANKER_MAX_LENGTH,
        trim=settings.RERANKER_TRIM,
    )


def _make_cache() -> ScoreCache:
    if not settings.REDIS_URL:
        return MemoryScoreCache()
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # An answer waits for these: a server that is away must cost less than the scores it would save.
    return RedisScoreCache(
        redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=0.3, socket_connect_timeout=0.3, retry=Retry(NoBackoff(), 0)
        )
    )
