"""Qwen3-Embedding: the final row of a text's last token, of length 1, by the engine that also reranks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import transformers

from reranking.batching import pack_balanced
from reranking.embedding import EmbedderInfo, EmbedderUnavailable, Embeddings, NonFiniteVector, Rows, check_rows
from reranking.qwen_attention import choose_attention
from reranking.qwen_compile import can_compile, is_worth_compiling
from reranking.qwen_device import choose_device, choose_dtype, set_threads
from reranking.qwen_linear import make_linear
from reranking.qwen_loading import LONGEST, Loaded, Source, build_network, load_model
from reranking.qwen_memory import FittingBatches
from reranking.qwen_network import Network
from reranking.qwen_pack import build_pack
from reranking.qwen_pointwise import Pointwise, compile_pointwise
from reranking.qwen_scoring import make_encoder
from reranking.types import RerankerUnavailable

logger = logging.getLogger(__name__)

END_OF_TEXT = "<|endoftext|>"  # the hub's tokenizer ends every text with it, and its row is the vector
CPU_BATCH_TOKENS, GPU_BATCH_TOKENS = 2048, 65_536
PROBES = ("住宅楼外墙渗水由谁维修", "City buses run every ten minutes on working days.")
ALIKE = 0.9999


class QwenEmbedder:
    """One loaded model. Safe to use from many threads: the model runs one batch at a time.

    `location` is a folder, a hub id or a ModelScope id. `max_length` is in tokens, the last of them included; longer
    texts lose their end. `batch_tokens` bounds a batch. Raises EmbedderUnavailable where the model cannot be loaded or
    fails its check, ValueError for a wrong setting.
    """

    def __init__(
        self,
        location: str,
        *,
        source: Source = "auto",
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        max_length: int = 8192,
        batch_tokens: int | None = None,
        compiled: bool | None = None,
    ) -> None:
        if not 16 <= max_length <= LONGEST:
            raise ValueError(f"max_length must lie between 16 and {LONGEST}")
        started = time.perf_counter()
        loaded, self._device, tensor_dtype = _load(location, source, device, dtype, threads)
        self.max_length = max_length
        self.batches = FittingBatches(
            batch_tokens or (CPU_BATCH_TOKENS if self._device.type == "cpu" else GPU_BATCH_TOKENS)
        )
        self._info = EmbedderInfo(
            loaded.name,
            loaded.revision,
            loaded.model.config.hidden_size,
            str(self._device),
            str(tensor_dtype).removeprefix("torch."),
        )
        self._end = end_token(loaded.tokenizer)
        self._encode = make_encoder(loaded.tokenizer)
        # Texts are citizens' and documents': a written-out <|endoftext|> in them ends nothing.
        loaded.tokenizer.backend_tokenizer.encode_special_tokens = True
        self._network = self._build(loaded, tensor_dtype, compiled)
        self._lock = threading.Lock()
        self._check_probe()
        logger.info("embedder ready in %.1f s: %s", time.perf_counter() - started, self._info)

    def _build(self, loaded: Loaded, dtype: torch.dtype, compiled: bool | None) -> Network:
        if compiled is None:
            compiled = can_compile(self._device) and is_worth_compiling(loaded.model)
        return build_network(
            loaded.model,
            make_linear=lambda weight: make_linear(weight, self.batches.tokens),
            attention=choose_attention(self._device, dtype, loaded.model.config.head_dim),
            pointwise=compile_pointwise() if compiled else Pointwise(),
            max_length=self.max_length,
        )

    @property
    def info(self) -> EmbedderInfo:
        return self._info

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """In packed batches of much the same size; what else is in a batch changes nothing but the last digits."""
        rows = np.empty((len(texts), self._info.dimension), dtype=np.float32)
        jobs = [[*ids[: self.max_length - 1], self._end] for ids in self._encode(texts)] if texts else []
        with self._lock:
            for batch in pack_balanced([len(job) for job in jobs], self.batches.tokens) if jobs else ():
                rows[batch] = np.concatenate(list(self._run_parts([jobs[index] for index in batch])))
        return Embeddings(check_rows(rows), self._info)

    def _run_parts(self, jobs: Sequence[Sequence[int]]) -> Iterator[Rows]:
        """The batch in the parts that fit into memory. Raises EmbedderUnavailable for a text that never does."""
        for part, rows in self.batches.run(jobs, self._run, len):
            if rows is None:
                raise EmbedderUnavailable(f"a text of {len(part[0])} tokens does not fit into memory")
            yield rows

    def _run(self, jobs: Sequence[Sequence[int]]) -> Rows:
        """Float32 [jobs, dimension]."""
        pack = build_pack([(job, None) for job in jobs], self._device)
        return self._network.run(pack).cpu().numpy()

    def _check_probe(self) -> None:
        """Two unlike texts must not come out alike, nor as NaN."""
        try:
            rows = self.embed_texts(PROBES).rows
        except NonFiniteVector as error:
            raise EmbedderUnavailable(f"the model's probe failed: {error}") from error
        if float(rows[0] @ rows[1]) > ALIKE:
            raise EmbedderUnavailable("the model gives unlike texts the same vector")


def _load(
    location: str, source: Source, device: str, dtype: str, threads: int | None
) -> tuple[Loaded, torch.device, torch.dtype]:
    """The model, where it is and in which type. Raises EmbedderUnavailable."""
    try:
        chosen = choose_device(device)
        if chosen.type == "cpu":
            set_threads(threads)
        tensor_dtype = choose_dtype(dtype, chosen)
        loaded = load_model(
            location,
            source=source,
            dtype=tensor_dtype,
            device=chosen,
            choose_class=lambda config: transformers.Qwen3Model,
        )
    except RerankerUnavailable as error:
        raise EmbedderUnavailable(str(error)) from error
    return loaded, chosen, tensor_dtype


def end_token(tokenizer: Any) -> int:
    """The id of the token that ends every text. Raises EmbedderUnavailable."""
    number = tokenizer.get_vocab().get(END_OF_TEXT)
    if number is None:
        raise EmbedderUnavailable(f"not a Qwen3-Embedding: its tokenizer has no {END_OF_TEXT}")
    return int(number)
