"""`python -m reranking.server`: the reranker over HTTP, without Django or a database."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

import redis
import uvicorn

from reranking.cache import MemoryScoreCache, NullScoreCache, RedisScoreCache, ScoreCache
from reranking.embedding import EmbedderError, TextEmbedder
from reranking.fallback import RerankerChoice, RerankerConfig, choose_reranker
from reranking.lexical import LexicalReranker
from reranking.prompts import DEFAULT_INSTRUCTION
from reranking.retrying import RetriedChoice
from reranking.server_app import ServerOptions, create_app
from reranking.server_schemas import Limits

logger = logging.getLogger(__name__)

API_KEY_VARIABLE = "RERANKING_SERVER_API_KEY"
REDIS_SECONDS = 0.2  # a cache that is slower than this is no help


def main(arguments: Sequence[str] | None = None) -> int:
    """Loads, serves until a signal comes, finishes what waits. 1: a model was required and could not be had."""
    options = parse_arguments(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    retried = RetriedChoice(lambda current: choose_from(options, instead_of=current))
    choice = retried.get()
    if choice.is_degraded and options.require_model:
        logger.error("model %s cannot be used and --require-model is set", options.model_path)
        return 1
    try:
        embedder = load_embedder(options)
    except EmbedderError as error:
        logger.error("embedding model %s cannot be used: %s", options.embedding_model, error)
        return 1
    app = create_app(retried, make_server_options(options), status=retried.status, embedder=embedder)
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=max(1, round(options.shutdown_seconds)),
    )
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reranking.server", description="重排服务")
    _add_network_arguments(parser)
    _add_model_arguments(parser)
    _add_queue_arguments(parser)
    return parser.parse_args(arguments)


def _add_network_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("网络")
    group.add_argument("--host", default="127.0.0.1", help="监听地址（默认只限本机）")
    group.add_argument("--port", type=int, default=8100)
    group.add_argument("--shutdown-seconds", type=float, default=30.0, help="停止时等待未完成请求的秒数")
    group.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    group.description = f"环境变量 {API_KEY_VARIABLE} 设置后，请求须带 Authorization: Bearer 密钥"


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("模型")
    group.add_argument("--model-path", default="", help="模型目录或仓库名；不给则只用词汇重排")
    group.add_argument("--require-model", action="store_true", help="模型不可用时退出，而不是退回词汇重排")
    group.add_argument(
        "--lexical-ok", action="store_true", help="由词法重排代替时，无法注明此事的格式（tei、/v1/score）也照常作答"
    )
    group.add_argument("--embedding-model", default="", help="嵌入模型目录或仓库名；给了才有 /v1/embeddings，须能装载")
    group.add_argument("--source", default="auto", choices=["auto", "folder", "huggingface", "modelscope"])
    group.add_argument("--device", default="auto", help="auto、cuda、cuda:0 或 cpu")
    group.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"])
    group.add_argument("--int8", action="store_true", help="线性层用 int8（CPU）")
    group.add_argument("--threads", type=int, default=None, help="CPU 线程数（默认为可用核数）")
    group.add_argument("--max-length", type=int, default=8192, help="提示的最大词元数")
    group.add_argument("--trim", type=int, default=0, metavar="CHARACTERS", help="长段落截取到多少字（0 为不截取）")
    group.add_argument("--instruction", default=DEFAULT_INSTRUCTION, help="请求未给出时的任务说明")


def _add_queue_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = ServerOptions()
    group = parser.add_argument_group("排队、上限与缓存")
    group.add_argument("--window-ms", type=float, default=defaults.window * 1000, help="合并请求的等待毫秒数")
    group.add_argument("--max-batch", type=int, default=defaults.max_batch, help="一次计算的最多文档数")
    group.add_argument("--max-waiting", type=int, default=defaults.max_waiting, help="排队的最多文档数，超过答 429")
    group.add_argument("--max-documents", type=int, default=defaults.limits.documents, help="一次请求的最多文档数")
    group.add_argument("--max-document-characters", type=int, default=defaults.limits.document_characters)
    group.add_argument("--max-query-characters", type=int, default=defaults.limits.query_characters)
    group.add_argument("--cache-entries", type=int, default=100_000, help="内存中缓存的分数个数（0 为不缓存）")
    group.add_argument("--redis-url", default="", help="分数缓存放在 Redis 中，供多个进程共用")


def choose_from(options: argparse.Namespace, *, instead_of: RerankerChoice | None = None) -> RerankerChoice:
    """The reranker that the arguments ask for, or a lesser one; `instead_of` as in `choose_reranker`."""
    config = RerankerConfig(
        engine="model" if options.model_path else "lexical",
        model_path=options.model_path,
        source=options.source,
        device=options.device,
        dtype=options.dtype,
        int8=options.int8,
        threads=options.threads,
        max_length=options.max_length,
        trim=options.trim,
        instruction=options.instruction,
    )
    return choose_reranker(config, lexical=LexicalReranker(), cache=make_cache(options), instead_of=instead_of)


def load_embedder(options: argparse.Namespace) -> TextEmbedder | None:
    """None where none is asked for. Raises EmbedderUnavailable."""
    if not options.embedding_model:
        return None
    # Torch is imported here, not before.
    from reranking.qwen_embedding import QwenEmbedder

    return QwenEmbedder(
        options.embedding_model,
        source=options.source,
        device=options.device,
        dtype=options.dtype,
        threads=options.threads,
        max_length=options.max_length,
    )


def make_cache(options: argparse.Namespace) -> ScoreCache:
    if options.redis_url:
        client = redis.Redis.from_url(
            options.redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS, retry=None
        )
        return RedisScoreCache(client)
    return MemoryScoreCache(options.cache_entries) if options.cache_entries else NullScoreCache()


def make_server_options(options: argparse.Namespace) -> ServerOptions:
    return ServerOptions(
        limits=Limits(
            documents=options.max_documents,
            query_characters=options.max_query_characters,
            document_characters=options.max_document_characters,
        ),
        window=options.window_ms / 1000,
        max_waiting=options.max_waiting,
        max_batch=options.max_batch,
        api_key=os.environ.get(API_KEY_VARIABLE) or None,
        shutdown_seconds=options.shutdown_seconds,
        lexical_ok=options.lexical_ok,
    )


if __name__ == "__main__":
    sys.exit(main())
