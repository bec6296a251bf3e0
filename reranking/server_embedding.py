"""`POST /v1/embeddings` of the reranking server, in OpenAI's form. One request after the other runs the model."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from reranking.embedding import EmbedderInfo, Embeddings, TextEmbedder
from reranking.server_errors import ApiError
from reranking.server_queue import QueueFull

CLIENT_CLOSED_REQUEST = 499
MOST_TEXTS, MOST_CHARACTERS = 256, 400_000
MOST_WAITING = 1024  # texts
RETRY_SECONDS = 2

Texts = Annotated[list[str], Field(min_length=1)]


class EmbeddingsBody(BaseModel):
    """Texts are embedded as they are: a query comes with its instruction. Unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore")

    input: str | Texts
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input

    def check(self) -> None:
        """Raises ApiError."""
        if len(self.texts) > MOST_TEXTS:
            raise ApiError(413, "too_many_texts", f"一次最多 {MOST_TEXTS} 段文字")
        if sum(map(len, self.texts)) > MOST_CHARACTERS:
            raise ApiError(413, "request_too_long", f"一次请求的文字合计最长 {MOST_CHARACTERS} 个字")

    def to_answer(self, found: Embeddings) -> dict[str, Any]:
        data = [
            {"object": "embedding", "index": index, "embedding": self._encode(row)}
            for index, row in enumerate(found.rows)
        ]
        return {
            "object": "list",
            "model": found.info.name,
            "revision": found.info.revision,
            "data": data,
        }

    def _encode(self, row: np.ndarray) -> list[float] | str:
        if self.encoding_format == "base64":
            return base64.b64encode(row.astype("<f4").tobytes()).decode()
        numbers: list[float] = row.tolist()
        return numbers


class EmbeddingService:
    """The embedder of a server, if it has one. Requests wait for it in order; too many are refused."""

    def __init__(self, embedder: TextEmbedder | None) -> None:
        self._embedder = embedder
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def info(self) -> EmbedderInfo | None:
        return self._embedder.info if self._embedder else None

    async def embed(self, request: Request, body: EmbeddingsBody) -> Embeddings:
        """Raises ApiError, QueueFull, EmbedderUnavailable, NonFiniteVector."""
        if self._embedder is None:
            raise ApiError(404, "no_embedder", "本服务没有装载嵌入模型（--embedding-model）")
        body.check()
        if self._waiting and self._waiting + len(body.texts) > MOST_WAITING:
            raise QueueFull(RETRY_SECONDS)
        self._waiting += len(body.texts)
        try:
            async with self._turn:
                if await request.is_disconnected():  # who gave up while waiting costs nothing
                    raise ApiError(CLIENT_CLOSED_REQUEST, "client_closed_request", "调用方已断开")
                return await asyncio.to_thread(self._embedder.embed_texts, body.texts)
        finally:
            self._waiting -= len(body.texts)
