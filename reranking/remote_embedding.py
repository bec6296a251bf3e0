"""An embedder on another host, by its `/v1/embeddings`: `reranking.server`, vLLM, text-embeddings-inference, OpenAI."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from reranking.breaker import HostBreaker, HostLeftAlone
from reranking.embedding import EmbedderInfo, EmbedderUnavailable, Embeddings, Rows, check_rows

logger = logging.getLogger(__name__)

PATH = "/v1/embeddings"
CONNECT_SECONDS = 0.5
BREAKER_THRESHOLD, BREAKER_SECONDS = 5, 30.0
PASSING = frozenset({429, 502, 503, 504})


class _Refused(EmbedderUnavailable):
    """The host is well and refuses this request (4xx): nothing against the host."""


class _TryAgain(EmbedderUnavailable):
    """A fault that may pass; embedding twice does no harm."""


class _Busy(_TryAgain):
    """The host is well and has too much to do (429)."""


class RemoteEmbedder:
    """Embeds on a host. Safe for many threads; `close` ends its connections.

    `timeout` (seconds) bounds one request of at most `batch_texts` texts, tried `attempts` times. Queries come with
    their instruction already, so that any host does that serves Qwen3-Embedding. The host's `revision`, or where it
    gives none its `model`, says which vectors are comparable. Raises EmbedderUnavailable when the host is away, too
    slow, refuses, or gives an answer that does not fit the request; NonFiniteVector.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        api_key: str = "",
        timeout: float = 1.0,
        attempts: int = 1,
        batch_texts: int = 32,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        limits = httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout))
        self._client = httpx.Client(base_url=url.rstrip("/").removesuffix("/v1"), headers=headers, timeout=limits)
        self._model = model
        self._attempts = attempts
        self._batch_texts = batch_texts
        self._info: EmbedderInfo | None = None
        self._breaker = HostBreaker(threshold=BREAKER_THRESHOLD, seconds=BREAKER_SECONDS, exclude=[_Refused, _Busy])

    @property
    def info(self) -> EmbedderInfo:
        """By the host's last answer; before the first it is asked."""
        return self._info or self.embed_texts(["一"]).info

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        if not texts:
            return Embeddings(np.empty((0, self.info.dimension), dtype=np.float32), self.info)
        batches = [texts[start : start + self._batch_texts] for start in range(0, len(texts), self._batch_texts)]
        found = [self._embed_batch(batch) for batch in batches]
        if len({item.info for item in found}) > 1:
            raise EmbedderUnavailable("the host changed its model between two requests")
        self._info = found[0].info
        return Embeddings(np.concatenate([item.rows for item in found]), self._info)

    def close(self) -> None:
        self._client.close()

    def _embed_batch(self, texts: Sequence[str]) -> Embeddings:
        trying = Retrying(
            retry=retry_if_exception_type(_TryAgain),
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=0.2, max=5.0),
            reraise=True,
        )
        try:
            with self._breaker.guard():
                data = trying(self._post, texts)
        except HostLeftAlone as error:
            raise EmbedderUnavailable(str(error)) from error
        try:
            rows = _read_rows(data, len(texts))
            name = str(data.get("model") or self._model)
            info = EmbedderInfo(name, str(data.get("revision") or name), rows.shape[1])
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise EmbedderUnavailable(f"host's answer has not the expected form: {error!r}") from error
        return Embeddings(check_rows(rows), info)

    def _post(self, texts: Sequence[str]) -> Any:
        body = {"input": list(texts), "encoding_format": "float", **({"model": self._model} if self._model else {})}
        try:
            response = self._client.post(PATH, json=body)
        except httpx.TimeoutException as error:
            raise EmbedderUnavailable("host did not answer in time") from error
        except httpx.HTTPError as error:
            raise _TryAgain(f"host cannot be reached: {type(error).__name__}") from error
        if response.is_success:
            return _read_json(response)
        # Not the text of the answer: some hosts repeat the request in it, and this goes to the log.
        message = f"host answered {response.status_code}"
        if response.status_code == 429:
            raise _Busy(message)
        if response.status_code in PASSING:
            raise _TryAgain(message)
        raise _Refused(message) if response.is_client_error else EmbedderUnavailable(message)


def _read_json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise EmbedderUnavailable("host did not answer with JSON") from error


def _read_rows(data: Any, count: int) -> Rows:
    """The vectors in the order of the texts. Raises ValueError, KeyError, TypeError."""
    by_index = {int(item["index"]): item["embedding"] for item in data["data"]}
    if sorted(by_index) != list(range(count)) or len(data["data"]) != count:
        raise ValueError(f"{len(data['data'])} vectors for {count} texts")
    rows = np.array([by_index[index] for index in range(count)], dtype=np.float32)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"vectors of shape {rows.shape}")
    return rows
