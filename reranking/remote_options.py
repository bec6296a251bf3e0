"""What is to be known of a remote reranking host before it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from reranking.types import RerankerInfo

TEI_DOCUMENTS = 32  # --max-client-batch-size of text-embeddings-inference, unless the host sets another


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """A host that reranks. Times are in seconds.

    `api`: `hotline` is this project's own server, without loss; `tei` text-embeddings-inference; `v1` the shape of
    Jina, Cohere and vLLM. `template` must be said for the latter two: `host` where the host applies the model's
    prompt template (vLLM with --chat-template), `client` where it does not and the texts are sent with it (vLLM
    without). Without a template Qwen3-Reranker's order is near random.

    `raw_scores`: ask for log-odds (tei by its `raw_scores`, v1 by vLLM's `use_activation`); None: of tei alone.
    `revision` names the model's revision where the host does not. `calibrated`: scores have a zero; a host that says
    its own have none (it degraded to the lexical reranker) is refused, for the one here knows more of the candidates.
    `max_documents` of a request: more are sent as several, for they are scored one by one (None: 32 for tei, which
    refuses more unless told otherwise; else no limit). Scores that are not calibrated may depend on the other documents
    of their request: it stays whole.
    `send_evidence`: send also what a lexical reranker looks at (hotline alone). `max_document_characters` cuts long
    texts here, where the host would refuse them or, with template `client`, cut off the prompt's end.
    """

    url: str
    api: Literal["hotline", "tei", "v1"] = "hotline"
    model: str = ""
    revision: str = ""
    template: Literal["host", "client"] | None = None
    raw_scores: bool | None = None
    calibrated: bool = True
    api_key: str = field(default="", repr=False)
    timeout: float = 10.0
    connect_timeout: float = 1.0
    attempts: int = 3
    concurrency: int = 8
    breaker_threshold: int = 5
    breaker_seconds: float = 30.0
    max_document_characters: int | None = None
    max_documents: int | None = None
    send_evidence: bool = False

    def __post_init__(self) -> None:
        if self.max_documents is not None and self.max_documents < 1:
            raise ValueError(f"max_documents must be at least 1: {self.max_documents}")
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise ValueError(f"url of a remote reranker must be http or https: {self.url!r}")
        if self.api == "hotline" and self.template == "client":
            raise ValueError("a reranking.server host applies the template itself")
        if self.api != "hotline" and self.template is None:
            raise ValueError("say who applies the prompt template: template='host' or 'client'")

    @property
    def documents_a_request(self) -> int | None:
        """None: as many as there are."""
        if not self.calibrated:
            return None
        return TEI_DOCUMENTS if self.max_documents is None and self.api == "tei" else self.max_documents

    @property
    def wants_raw_scores(self) -> bool:
        return self.api == "tei" if self.raw_scores is None else self.raw_scores

    @property
    def info(self) -> RerankerInfo:
        """What is known of the host's model before it has answered."""
        name = self.model or urlsplit(self.url).netloc.rpartition("@")[2]
        return RerankerInfo(f"remote:{name}", self.revision or name, self.calibrated, device="remote")
