"""The reranking server as an ASGI application around any reranker."""

from __future__ import annotations

import asyncio
import functools
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reranking.embedding import TextEmbedder
from reranking.server_embedding import EmbeddingsBody, EmbeddingService
from reranking.server_errors import EXCEPTION_HANDLERS, ApiError, describe_error
from reranking.server_metrics import Metrics, MetricsMiddleware
from reranking.server_queue import BatchingQueue
from reranking.server_schemas import Limits, RerankBody, V1RerankBody, V1ScoreBody, parse_rerank, refuse_uncalibrated
from reranking.types import Ranking, RankingRequest, Reranker

CLIENT_CLOSED_REQUEST = 499
CLOSING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """`window` and `shutdown_seconds` in seconds; `max_waiting` and `max_batch` in documents.

    `lexical_ok`: lexical scores are given out in shapes, too, that cannot say that they are no model's.
    """

    limits: Limits = field(default_factory=Limits)
    window: float = 0.003
    max_waiting: int = 2000
    max_batch: int = 500
    api_key: str | None = field(default=None, repr=False)
    shutdown_seconds: float = 30.0
    lexical_ok: bool = False


class RerankService:
    """What the routes share: the engine behind its queue, limits and metrics."""

    def __init__(
        self,
        reranker: Reranker,
        options: ServerOptions,
        status: Callable[[], Mapping[str, Any]],
        embedder: TextEmbedder | None,
    ) -> None:
        self.reranker = reranker
        self.embedding = EmbeddingService(embedder)
        self.options = options
        self.status = status
        self.metrics = Metrics()
        self.queue = BatchingQueue(
            reranker,
            max_waiting=options.max_waiting,
            max_batch=options.max_batch,
            window=options.window,
            on_batch=self.metrics.record_batch,
        )
        self.metrics.watch_queue(self.queue)

    def authorize(self, request: Request) -> None:
        """Raises ApiError where a key is set and the request does not carry it."""
        if self.options.api_key is None:
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.options.api_key}".encode()):
            raise ApiError(401, "unauthorized", "缺少有效的访问密钥")

    async def rank(self, request: Request, wanted: Sequence[RankingRequest]) -> list[Ranking]:
        """The rankings, unless the caller hangs up first: then what still waits is taken from the queue."""
        self.options.limits.check(wanted)
        results = asyncio.gather(*map(asyncio.wrap_future, self.queue.submit(wanted)))
        hang_up = asyncio.ensure_future(_wait_for_disconnect(request))
        either: set[asyncio.Future[Any]] = {results, hang_up}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not results.done():
                raise ApiError(CLIENT_CLOSED_REQUEST, "client_closed_request", "调用方已断开")
            rankings = await results
        finally:
            hang_up.cancel()
            results.cancel()
        self.metrics.record_rankings(rankings)
        return rankings


def create_app(
    reranker: Reranker,
    options: ServerOptions | None = None,
    *,
    status: Callable[[], Mapping[str, Any]] = dict,
    embedder: TextEmbedder | None = None,
) -> Starlette:
    """The application. `status` adds to what `/health` says; the queue's thread lives from here to the shutdown."""
    service = RerankService(reranker, options or ServerOptions(), status, embedder)

    @asynccontextmanager
    async def close_queue(app: Starlette) -> AsyncIterator[None]:
        yield
        # The web server has waited for the callers: what is still in the queue has nobody to go to.
        await asyncio.to_thread(service.queue.close, min(CLOSING_SECONDS, service.options.shutdown_seconds))

    routes = _make_routes()
    app = Starlette(
        routes=routes,
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[
            Middleware(MetricsMiddleware, metrics=service.metrics, paths=frozenset(route.path for route in routes))
        ],
        lifespan=close_queue,
    )
    app.state.service = service
    return app


def _make_routes() -> list[Route]:
    shapes: dict[str, Callable[[Any], RerankBody]] = {
        "/rerank": parse_rerank,
        "/v1/rerank": V1RerankBody.model_validate,
        "/v1/score": V1ScoreBody.model_validate,
    }
    posts = [Route(path, functools.partial(answer, parse=parse), methods=["POST"]) for path, parse in shapes.items()]
    posts.append(Route("/v1/embeddings", embed, methods=["POST"]))
    return [*posts, Route("/health", show_health), Route("/metrics", show_metrics)]


async def answer(request: Request, *, parse: Callable[[Any], RerankBody]) -> Response:
    """Any of the reranking routes."""
    service: RerankService = request.app.state.service
    try:
        service.authorize(request)
        body = parse(await read_json(request, service.options.limits.body_bytes))
        rankings = await service.rank(request, body.to_requests())
        if not service.options.lexical_ok:
            refuse_uncalibrated(body, rankings)
        return JSONResponse(body.to_answer(rankings))
    except Exception as error:
        return describe_error(error).to_response()


async def embed(request: Request) -> Response:
    service: RerankService = request.app.state.service
    try:
        service.authorize(request)
        body = EmbeddingsBody.model_validate(await read_json(request, service.options.limits.body_bytes))
        return JSONResponse(body.to_answer(await service.embedding.embed(request, body)))
    except Exception as error:
        return describe_error(error).to_response()


async def show_health(request: Request) -> Response:
    """200 while requests are taken, 503 when not."""
    service: RerankService = request.app.state.service
    is_open = service.queue.is_open
    content = {
        "status": "ok" if is_open else "unavailable",
        "reranker": asdict(service.reranker.info),
        "embedder": asdict(service.embedding.info) if service.embedding.info else None,
        "documents_waiting": service.queue.documents_waiting,
        "limits": asdict(service.options.limits),
        **service.status(),
    }
    return JSONResponse(content, status_code=200 if is_open else 503)


async def show_metrics(request: Request) -> Response:
    service: RerankService = request.app.state.service
    return Response(generate_latest(service.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def read_json(request: Request, max_bytes: int) -> Any:
    """The body as JSON, read no further than `max_bytes`. Raises ApiError."""
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > max_bytes:
            raise ApiError(413, "body_too_large", f"请求体最大 {max_bytes} 字节", hang_up=True)
    try:
        data = json.loads(chunks)
        if b"\\ud" in chunks.lower():
            # Half a surrogate pair is JSON but no text: no tokenizer takes it.
            json.dumps(data, ensure_ascii=False).encode()
        return data
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "invalid_json", "请求体不是有效的 JSON") from error


async def _wait_for_disconnect(request: Request) -> None:
    """Returns when the caller hangs up. The body has been read: whatever else comes says nothing."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
