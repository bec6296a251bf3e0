"""The request bodies the server takes and what it answers to each.

Beside our own shape: text-embeddings-inference's `/rerank`, the `/v1/rerank` of Jina, Cohere and vLLM, and vLLM's
`/v1/score`. Unknown keys are ignored, as those servers do. Every shape takes an optional `instruction`; those that
can say that a document was not reached also take `latency_budget` (seconds).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from reranking.server_errors import SECONDS_UNTIL_RETRY, ApiError
from reranking.types import Candidate, Ranking, RankingRequest, RerankerUnavailable, ScoredPassage

CHARACTERS_PER_TOKEN = 1.67  # Chinese policy text with Qwen's vocabulary

LatencyBudget = Annotated[float, Field(gt=0, le=600)]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one HTTP request may ask for at most; characters are Unicode code points."""

    documents: int = 1000
    query_characters: int = 8_000
    document_characters: int = 200_000
    total_characters: int = 4_000_000
    body_bytes: int = 32 * 1024 * 1024

    def check(self, requests: Sequence[RankingRequest]) -> None:
        """Raises ApiError."""
        lengths = [_count_characters(candidate) for request in requests for candidate in request.candidates]
        if len(lengths) > self.documents:
            raise ApiError(413, "too_many_documents", f"一次最多 {self.documents} 篇文档")
        if any(len(request.query) > self.query_characters for request in requests):
            raise ApiError(413, "query_too_long", f"问题最长 {self.query_characters} 个字")
        if max(lengths, default=0) > self.document_characters:
            raise ApiError(413, "document_too_long", f"单篇文档最长 {self.document_characters} 个字")
        if sum(lengths) > self.total_characters:
            raise ApiError(413, "request_too_long", f"一次请求的文档合计最长 {self.total_characters} 个字")


class RerankBody(BaseModel):
    """What all shapes have in common."""

    model_config = ConfigDict(extra="ignore")

    instruction: str | None = Field(default=None, max_length=4_000)

    # Whether an answer says who ranked. Where it does not, scores without a zero would pass for the model's.
    names_reranker: ClassVar[bool] = True

    def to_requests(self) -> list[RankingRequest]:
        raise NotImplementedError

    def to_answer(self, rankings: Sequence[Ranking]) -> Any:
        """The JSON answer to the rankings of `to_requests`, in its order."""
        raise NotImplementedError


class HotlineDocument(BaseModel):
    """A candidate; what comes after `content` only some rerankers look at. Ids come back as they were given."""

    id: str | int
    title: str = ""
    content: str
    document_number: str = ""
    passages: tuple[str, ...] = ()
    features: dict[str, float] = Field(default_factory=dict)
    document_text: str = ""

    def to_candidate(self) -> Candidate:
        return Candidate(
            id=str(self.id),
            title=self.title,
            text=self.content,
            document_number=self.document_number,
            passages=self.passages,
            features=self.features,
            document_text=self.document_text,
        )


class HotlineBody(RerankBody):
    """`POST /rerank {query, documents: [{id, title, content}]}` -> `{reranked_ids, scores, log_odds, ...}`.

    `scores` (P(yes)) and `log_odds` lie beside `reranked_ids`; documents that the deadline cut off come last with null.
    `prior`, a number for each document, says which are to be scored first where the deadline may cut some off.
    """

    query: str
    documents: list[HotlineDocument]
    latency_budget: LatencyBudget | None = None
    prior: list[FiniteFloat] = Field(default_factory=list)

    @model_validator(mode="after")
    def check_documents(self) -> Self:
        if len({str(document.id) for document in self.documents}) < len(self.documents):
            raise ValueError("document ids must be unique")
        if self.prior and len(self.prior) != len(self.documents):
            raise ValueError("prior must hold a number for each document")
        return self

    def to_requests(self) -> list[RankingRequest]:
        candidates = [document.to_candidate() for document in self.documents]
        return [RankingRequest(self.query, candidates, self.instruction, self.latency_budget, prior=self.prior)]

    def to_answer(self, rankings: Sequence[Ranking]) -> Any:
        (ranking,) = rankings
        nothing = [None] * len(ranking.unscored)
        given = {str(document.id): document.id for document in self.documents}
        return {
            "reranked_ids": [given[identifier] for identifier in ranking.ids],
            "scores": [item.relevance_score for item in ranking.scored] + nothing,
            "log_odds": [item.log_odds for item in ranking.scored] + nothing,
            "unscored_ids": [given[identifier] for identifier in ranking.unscored],
            "truncated_ids": [given[item.id] for item in ranking.scored if item.truncated],
            "cached_ids": [given[item.id] for item in ranking.scored if item.cached],
            **describe_ranking(ranking),
        }


class TeiBody(RerankBody):
    """text-embeddings-inference: `POST /rerank {query, texts}` -> `[{index, score, text?}]`, best first.

    `raw_scores` asks for log-odds. `truncate: false` refuses what would be cut.
    """

    names_reranker: ClassVar[bool] = False

    query: str
    texts: list[str]
    raw_scores: bool = False
    return_text: bool = False
    truncate: bool | None = None

    def to_requests(self) -> list[RankingRequest]:
        return [RankingRequest(self.query, _number_texts(self.texts), self.instruction)]

    def to_answer(self, rankings: Sequence[Ranking]) -> Any:
        scored = _require_complete(rankings)
        if self.truncate is False and any(item.truncated for item in scored):
            raise ApiError(413, "document_too_long", "有文档超过模型的长度上限，且请求不允许截断")
        return [self._describe(item) for item in scored]

    def _describe(self, item: ScoredPassage) -> dict[str, Any]:
        index = int(item.id)
        text = {"text": self.texts[index]} if self.return_text else {}
        return {"index": index, "score": choose_score(item, raw=self.raw_scores), **text}


class TextDocument(BaseModel):
    text: str
    title: str = ""


class V1RerankBody(RerankBody):
    """Jina, Cohere, vLLM: `POST /v1/rerank` -> `{id, model, results: [{index, relevance_score, document?}], usage}`.

    `top_n` of 0 or nothing means all. `use_activation: false` (vLLM) asks for log-odds as `relevance_score`.
    """

    model: str | None = None
    query: str
    documents: list[str | TextDocument]
    top_n: int | None = Field(default=None, ge=0)
    return_documents: bool = True
    use_activation: bool | None = None
    latency_budget: LatencyBudget | None = None

    def to_requests(self) -> list[RankingRequest]:
        return [RankingRequest(self.query, self._to_candidates(), self.instruction, self.latency_budget)]

    def _to_candidates(self) -> list[Candidate]:
        documents = [TextDocument(text=item) if isinstance(item, str) else item for item in self.documents]
        return [Candidate(str(index), item.title, item.text) for index, item in enumerate(documents)]

    def to_answer(self, rankings: Sequence[Ranking]) -> Any:
        (ranking,) = rankings
        return {
            "id": f"rerank-{uuid.uuid4().hex}",
            "model": ranking.info.name,
            "results": [self._describe(item) for item in ranking.scored[: self.top_n or None]],
            "unscored": [int(identifier) for identifier in ranking.unscored],
            "usage": estimate_usage(self.to_requests()),
            **describe_ranking(ranking),
        }

    def _describe(self, item: ScoredPassage) -> dict[str, Any]:
        index = int(item.id)
        document = self.documents[index]
        text = document if isinstance(document, str) else document.text
        return {
            "index": index,
            "relevance_score": choose_score(item, raw=self.use_activation is False),
            "log_odds": item.log_odds,
            "truncated": item.truncated,
            **({"document": {"text": text}} if self.return_documents else {}),
        }


class V1ScoreBody(RerankBody):
    """vLLM: `POST /v1/score {text_1 | queries, text_2 | documents}` -> `{data: [{index, object, score}], usage, ...}`.

    One first text is scored against all second ones; as many first as second are scored in pairs.
    """

    names_reranker: ClassVar[bool] = False

    model: str | None = None
    text_1: list[str]
    text_2: list[str]
    use_activation: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def name_texts(cls, data: Any) -> Any:
        """Takes either pair of names, and a single text for a list of one."""
        if not isinstance(data, Mapping):
            return data
        names = {"text_1": ("text_1", "queries"), "text_2": ("text_2", "documents")}
        found = {name: next((data[key] for key in keys if key in data), None) for name, keys in names.items()}
        return {**data, **{name: [value] if isinstance(value, str) else value for name, value in found.items()}}

    @model_validator(mode="after")
    def check_lengths(self) -> Self:
        if len(self.text_1) not in {1, len(self.text_2)}:
            raise ValueError("text_1 must hold one text or as many as text_2")
        return self

    def to_requests(self) -> list[RankingRequest]:
        if len(self.text_1) == 1:
            return [RankingRequest(self.text_1[0], _number_texts(self.text_2), self.instruction)]
        pairs = zip(self.text_1, self.text_2, strict=True)
        return [
            RankingRequest(query, [Candidate(str(index), "", text)], self.instruction)
            for index, (query, text) in enumerate(pairs)
        ]

    def to_answer(self, rankings: Sequence[Ranking]) -> Any:
        scored = sorted(_require_complete(rankings), key=lambda item: int(item.id))
        raw = self.use_activation is False
        return {
            "id": f"score-{uuid.uuid4().hex}",
            "object": "list",
            "created": int(time.time()),
            "model": rankings[0].info.name if rankings else self.model,
            "data": [
                {"index": int(item.id), "object": "score", "score": choose_score(item, raw=raw)} for item in scored
            ],
            "usage": estimate_usage(self.to_requests()),
        }


def parse_rerank(data: Any) -> RerankBody:
    """The shape of `POST /rerank` by the keys present. Raises pydantic.ValidationError."""
    if isinstance(data, Mapping):
        if "texts" in data:
            return TeiBody.model_validate(data)
        documents = data.get("documents")
        if isinstance(documents, list) and documents and not _has_id(documents[0]):
            return V1RerankBody.model_validate(data)
    return HotlineBody.model_validate(data)


def describe_ranking(ranking: Ranking) -> dict[str, Any]:
    """Who ranked, how long it took (seconds), and what has to be said of it."""
    return {"reranker": asdict(ranking.info), "notices": ranking.notices, "seconds": ranking.seconds}


def choose_score(item: ScoredPassage, *, raw: bool) -> float:
    return item.log_odds if raw else item.relevance_score


def estimate_usage(requests: Sequence[RankingRequest]) -> dict[str, Any]:
    """Tokens guessed from characters: the engine that ranks may not be the one that counts."""
    characters = sum(
        len(request.query) + _count_characters(candidate) for request in requests for candidate in request.candidates
    )
    tokens = round(characters / CHARACTERS_PER_TOKEN)
    return {"prompt_tokens": tokens, "total_tokens": tokens, "estimated": True}


def _has_id(document: Any) -> bool:
    return isinstance(document, Mapping) and "id" in document


def _number_texts(texts: Sequence[str]) -> list[Candidate]:
    return [Candidate(str(index), "", text) for index, text in enumerate(texts)]


def _count_characters(candidate: Candidate) -> int:
    texts = (candidate.title, candidate.document_number, candidate.text, *candidate.passages, candidate.document_text)
    return sum(map(len, texts))


def refuse_uncalibrated(body: RerankBody, rankings: Sequence[Ranking]) -> None:
    """Raises ApiError where a lesser reranker stood in for the model and the shape of the answer cannot say so."""
    if not body.names_reranker and not all(ranking.info.calibrated for ranking in rankings):
        raise ApiError(
            503, RerankerUnavailable.code, "重排模型暂不可用，此格式无法注明由谁代替", retry_after=SECONDS_UNTIL_RETRY
        )


def _require_complete(rankings: Sequence[Ranking]) -> list[ScoredPassage]:
    """All scores of a shape that cannot say that one is missing. Raises ApiError."""
    if any(ranking.is_partial for ranking in rankings):
        raise ApiError(503, "partial_rerank", "未能在时限内完成全部文档的重排")
    return [item for ranking in rankings for item in ranking.scored]
