"""What is sent to a remote reranking host and how its answer is read: pure functions of a request, no network.

Scores are wanted as log-odds, because the score gap is taken on them. Where a host gives probabilities alone they
are turned back, and what the sigmoid lost stays lost: in float32 everything above log-odds of about 16 is 1, in
bfloat16 already above about 6. Such scores are clipped to ±16.6, equal ones keep the first stage's order, and the
ranking carries the notice `saturated`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from reranking.prompts import DEFAULT_INSTRUCTION, PREFIX, SUFFIX, format_document, split_prompt
from reranking.remote_options import RemoteOptions
from reranking.types import (
    Candidate,
    NonFiniteScore,
    Ranking,
    RankingRequest,
    RerankerInfo,
    RerankerUnavailable,
    ScoredPassage,
    order_scored,
)

DOCUMENT_LABEL = "<Document>:"
SPECIAL_TOKEN = re.compile(r"<\|[a-z_]+\|>")
SMALLEST_PROBABILITY = 2.0**-24  # float32 has nothing between 1 - 2**-24 and 1

Json = Any


@dataclass(frozen=True, slots=True)
class Shape:
    """One wire shape: its path, the body of a request, the ranking in an answer (without `seconds`)."""

    path: str
    build: Callable[[RemoteOptions, RankingRequest], dict[str, Json]]
    parse: Callable[[RemoteOptions, RankingRequest, Json], Ranking]


def build_hotline(options: RemoteOptions, request: RankingRequest) -> dict[str, Json]:
    documents = [_describe_candidate(options, _cut(options, candidate)) for candidate in request.candidates]
    return _drop_none(
        query=request.query,
        documents=documents,
        instruction=request.instruction,
        latency_budget=request.latency_budget,
        prior=list(request.prior) or None,
    )


def parse_hotline(options: RemoteOptions, request: RankingRequest, data: Json) -> Ranking:
    """Reads `{reranked_ids, scores, log_odds?, ...}`; the order is made anew from the scores."""
    answer = _require_mapping(data)
    ids = _require_list(answer, "reranked_ids")
    expected = [candidate.id for candidate in request.candidates]
    if sorted(map(str, ids)) != sorted(expected):
        raise RerankerUnavailable("host did not answer with the ids it was given")
    exact = "log_odds" in answer
    values = _require_list(answer, "log_odds" if exact else "scores")
    if len(values) != len(ids):
        raise RerankerUnavailable(f"host gave {len(values)} scores for {len(ids)} ids")
    scores = {str(identifier): value for identifier, value in zip(ids, values, strict=True) if value is not None}
    unscored = set(answer.get("unscored_ids", ()))
    if unscored != set(expected) - scores.keys():
        raise RerankerUnavailable("host left scores out without saying so")
    truncated = set(answer.get("truncated_ids", ())) | _find_cut(options, request)
    return _make_ranking(
        options, request, answer, scores, raw=exact, truncated=truncated, cached=set(answer.get("cached_ids", ()))
    )


def build_tei(options: RemoteOptions, request: RankingRequest) -> dict[str, Json]:
    query, texts = _write_texts(options, request)
    return _drop_none(
        query=query,
        texts=texts,
        raw_scores=options.wants_raw_scores,
        truncate=options.template == "host",
        instruction=request.instruction if options.template == "host" else None,
    )


def parse_tei(options: RemoteOptions, request: RankingRequest, data: Json) -> Ranking:
    """Reads `[{index, score}]`."""
    if not isinstance(data, list):
        raise RerankerUnavailable("host did not answer with a list")
    scores = _read_indexed(data, request, "score")
    return _make_ranking(
        options, request, {}, scores, raw=options.wants_raw_scores, truncated=_find_cut(options, request)
    )


def build_v1(options: RemoteOptions, request: RankingRequest) -> dict[str, Json]:
    query, texts = _write_texts(options, request)
    return _drop_none(
        model=options.model or None,
        query=query,
        documents=texts,
        top_n=len(texts),
        return_documents=False,
        use_activation=False if options.wants_raw_scores else None,
        instruction=request.instruction if options.template == "host" else None,
        latency_budget=request.latency_budget,
    )


def parse_v1(options: RemoteOptions, request: RankingRequest, data: Json) -> Ranking:
    """Reads `{results: [{index, relevance_score}]}`, and what this project's own server adds to it."""
    answer = _require_mapping(data)
    results = _require_list(answer, "results")
    exact = bool(results) and all(isinstance(item, Mapping) and "log_odds" in item for item in results)
    scores = _read_indexed(results, request, "log_odds" if exact else "relevance_score", answer.get("unscored", ()))
    cut = {request.candidates[item["index"]].id for item in results if item.get("truncated")}
    truncated = cut | _find_cut(options, request)
    return _make_ranking(options, request, answer, scores, raw=exact or options.wants_raw_scores, truncated=truncated)


SHAPES: Mapping[str, Shape] = {
    "hotline": Shape("/rerank", build_hotline, parse_hotline),
    "tei": Shape("/rerank", build_tei, parse_tei),
    "v1": Shape("/v1/rerank", build_v1, parse_v1),
}


def split_request(request: RankingRequest, most: int | None) -> list[RankingRequest]:
    """The request as several of at most `most` candidates."""
    count = len(request.candidates)
    if most is None or count <= most:
        return [request]
    return [
        replace(request, candidates=request.candidates[start : start + most], prior=request.prior[start : start + most])
        for start in range(0, count, most)
    ]


def join_rankings(request: RankingRequest, parts: Sequence[Ranking]) -> Ranking:
    """The ranking of a request that was sent as several. Raises RerankerUnavailable where different models ranked."""
    if len(parts) == 1:
        return parts[0]
    infos = [part.info for part in parts if part.scored] or [parts[0].info]
    if len({(info.name, info.revision, info.dtype) for info in infos}) > 1:
        raise RerankerUnavailable("parts of a request were ranked by different models")
    found = {item.id: item for part in parts for item in part.scored}
    ids = [candidate.id for candidate in request.candidates]
    return Ranking(
        order_scored([found[identifier] for identifier in ids if identifier in found]),
        infos[0],
        tuple(identifier for identifier in ids if identifier not in found),
        max(part.seconds for part in parts),
        tuple(dict.fromkeys(notice for part in parts for notice in part.notices)),
    )


def to_log_odds(probability: float) -> float:
    """The log-odds of a probability, clipped to ±16.6. Raises RerankerUnavailable when it is none, NonFiniteScore."""
    if not math.isfinite(probability):
        raise NonFiniteScore(f"host gave a score of {probability}")
    if not 0.0 <= probability <= 1.0:
        raise RerankerUnavailable(f"host gave {probability} where a probability was expected")
    clipped = min(max(probability, SMALLEST_PROBABILITY), 1.0 - SMALLEST_PROBABILITY)
    return math.log(clipped) - math.log1p(-clipped)


def _make_ranking(
    options: RemoteOptions,
    request: RankingRequest,
    answer: Mapping[str, Json],
    scores: Mapping[str, Json],
    *,
    raw: bool,
    truncated: set[str],
    cached: set[str] | None = None,
) -> Ranking:
    """The ranking of the scores by id; candidates without one stay in first-stage order below."""
    numbers = {identifier: _require_number(value) for identifier, value in scores.items()}
    scored = [
        ScoredPassage.from_log_odds(
            candidate.id,
            numbers[candidate.id] if raw else to_log_odds(numbers[candidate.id]),
            truncated=candidate.id in truncated,
            cached=candidate.id in (cached or ()),
        )
        for candidate in request.candidates
        if candidate.id in numbers
    ]
    unscored = tuple(candidate.id for candidate in request.candidates if candidate.id not in numbers)
    notices = _collect_notices(answer, scored, unscored, saturated=not raw and _is_saturated(numbers.values()))
    return Ranking(order_scored(scored), _read_info(options, answer), unscored, notices=notices)


def _collect_notices(
    answer: Mapping[str, Json], scored: Sequence[ScoredPassage], unscored: Sequence[str], *, saturated: bool
) -> tuple[str, ...]:
    told = [notice for notice in answer.get("notices", ()) if isinstance(notice, str)]
    found = {
        "partial_rerank": bool(unscored),
        "truncated": any(item.truncated for item in scored),
        "saturated": saturated,
    }
    return tuple(dict.fromkeys([*told, *(notice for notice, applies in found.items() if applies)]))


def _is_saturated(probabilities: Any) -> bool:
    return any(not SMALLEST_PROBABILITY < value < 1.0 - SMALLEST_PROBABILITY for value in probabilities)


def _read_info(options: RemoteOptions, answer: Mapping[str, Json]) -> RerankerInfo:
    """Who ranked by the host's own word, as far as it says."""
    told = answer.get("reranker")
    if isinstance(told, Mapping):
        return _check_info(options, told)
    model = answer.get("model")
    if options.model or not isinstance(model, str):
        return options.info
    return replace(options, model=model).info


def _check_info(options: RemoteOptions, told: Mapping[str, Json]) -> RerankerInfo:
    try:
        info = RerankerInfo(**{item.name: told[item.name] for item in fields(RerankerInfo)})
    except KeyError as error:
        raise RerankerUnavailable(f"host does not say its reranker's {error}") from error
    if options.calibrated and not info.calibrated:
        raise RerankerUnavailable(f"host has no model at work, it ranks by {info.name}")
    return info


def _read_indexed(
    items: Sequence[Json], request: RankingRequest, score_key: str, unscored: Sequence[Json] = ()
) -> dict[str, Json]:
    """Scores by candidate id. Raises RerankerUnavailable unless every index occurs exactly once."""
    try:
        pairs = [(item["index"], item[score_key]) for item in items]
        complete = sorted([index for index, _ in pairs] + list(unscored)) == list(range(len(request.candidates)))
    except (TypeError, KeyError) as error:
        raise RerankerUnavailable(f"host's answer has not the expected form: {error!r}") from error
    if not complete:
        raise RerankerUnavailable("host did not answer for every document exactly once")
    return {request.candidates[index].id: score for index, score in pairs}


def _write_texts(options: RemoteOptions, request: RankingRequest) -> tuple[str, list[str]]:
    """Query and documents as texts: plain, or as the two halves of the prompt, which such hosts join."""
    documents = [format_document(_cut(options, candidate)) for candidate in request.candidates]
    if options.template != "client":
        return request.query, documents
    instruction = _remove_special_tokens(request.instruction or DEFAULT_INSTRUCTION)
    pieces = split_prompt(instruction, _remove_special_tokens(request.query), "")
    query = f"{PREFIX}{pieces.head}{pieces.query.removesuffix(DOCUMENT_LABEL)}"
    return query, [f"{DOCUMENT_LABEL} {_remove_special_tokens(document)}{SUFFIX}" for document in documents]


def _remove_special_tokens(text: str) -> str:
    """A host that is sent a prompt reads such tokens in the text as its own: a document could end its turn."""
    return SPECIAL_TOKEN.sub("", text)


def _cut(options: RemoteOptions, candidate: Candidate) -> Candidate:
    limit = options.max_document_characters
    return candidate if limit is None else replace(candidate, text=candidate.text[:limit])


def _find_cut(options: RemoteOptions, request: RankingRequest) -> set[str]:
    limit = options.max_document_characters
    return {item.id for item in request.candidates if limit is not None and len(item.text) > limit}


def _describe_candidate(options: RemoteOptions, candidate: Candidate) -> dict[str, Json]:
    evidence = {
        "passages": list(candidate.passages),
        "features": dict(candidate.features),
        "document_text": candidate.document_text,
    }
    return {
        "id": candidate.id,
        "title": candidate.title,
        "content": candidate.text,
        "document_number": candidate.document_number,
        **{key: value for key, value in evidence.items() if value and options.send_evidence},
    }


def _drop_none(**values: Json) -> dict[str, Json]:
    return {key: value for key, value in values.items() if value is not None}


def _require_mapping(data: Json) -> Mapping[str, Json]:
    if not isinstance(data, Mapping):
        raise RerankerUnavailable("host did not answer with an object")
    return data


def _require_list(answer: Mapping[str, Json], key: str) -> list[Json]:
    value = answer.get(key)
    if not isinstance(value, list):
        raise RerankerUnavailable(f"host's answer has no list {key}")
    return value


def _require_number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RerankerUnavailable(f"host gave no number as a score: {value!r}")
    return float(value)
