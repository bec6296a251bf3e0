"""A question asked under any retrieval settings, without a trace in the database: what the laboratory compares.

The way is the desk's own: mask, understand, search, rerank, decide.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple, Protocol

from django.conf import settings as configured

from hotline.candidate_source import CandidateSource
from hotline.first_stage import choose_wordings, find_documents
from hotline.instructions import choose_instruction
from hotline.rerankers import is_neural, make_lexical_reranker
from hotline.retrieval_settings import RetrievalSettings
from hotline.review_policy import judge_lookup
from hotline.services.rerank_jobs import QueuedReranker
from hotline.services.tickets import clean_question
from hotline.understanding import Wording
from kb.live_dictionaries import get_live_rules
from kb.query_understanding import Rules, name_places
from kb.retrieval import DocumentHit, Ranked
from kb.search.types import SearchFilter
from reranking.score_gap import Decision
from reranking.types import Candidate, Ranking, RankingRequest, Reranker, RerankerError, RerankerInfo

logger = logging.getLogger(__name__)

STAGES = ("understanding", "semantic", "first_stage", "rerank")
RERANKER_UNAVAILABLE = "reranker_unavailable"


@dataclass(frozen=True, slots=True)
class TrialDocument:
    """A document in its place before and after reranking, both from 1. Scores are None where none was given."""

    document_id: int
    version_id: int
    title: str
    document_number: str
    passage_id: int
    passage_text: str
    first_stage_rank: int
    rank: int
    log_odds: float | None
    relevance_score: float | None
    first_stage_features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a question found under `settings`.

    `question` is masked; `documents` come in the final order, `candidates` (whose ids are version ids) in that of the
    first stage. `reranker` is None where nothing was reranked. `milliseconds` by STAGES, of those that there were.
    `index`: which was searched.
    """

    question: str
    settings: RetrievalSettings
    wordings: tuple[Wording, ...]
    documents: tuple[TrialDocument, ...]
    decision: Decision
    reranker: RerankerInfo | None
    notices: tuple[str, ...]
    milliseconds: Mapping[str, float]
    index: str
    release: int
    embedder: str
    candidates: tuple[Candidate, ...] = field(repr=False)
    rankings: tuple[Ranked, ...] = field(repr=False)

    @property
    def searched(self) -> str:
        """The wording that was searched first, and reranked."""
        return self.wordings[0].text

    @property
    def variants(self) -> tuple[str, ...]:
        """The others that were searched too."""
        return tuple(wording.text for wording in self.wordings[1:] if wording.is_used)


class Asked(Protocol):
    """A question and the line of business of its ticket, "" for none."""

    @property
    def text(self) -> str: ...
    @property
    def category(self) -> str: ...


class Question(NamedTuple):
    text: str
    category: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """A question as far as the first stage takes it."""

    question: str
    category: str
    wordings: tuple[Wording, ...]
    index: str
    release: int
    embedder: str
    documents: tuple[tuple[DocumentHit, Candidate], ...]
    notices: tuple[str, ...]
    milliseconds: Mapping[str, float]
    rankings: tuple[Ranked, ...]

    @property
    def searched(self) -> str:
        return self.wordings[0].text

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(wording.text for wording in self.wordings[1:] if wording.is_used)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(candidate for _, candidate in self.documents)


def run_trial(
    question: str,
    settings: RetrievalSettings,
    *,
    as_of: date,
    category: str = "",
    departments: tuple[str, ...] | None = None,
    rules: Rules | None = None,
    reranker: Reranker | None = None,
) -> Trial:
    """Writes nothing. `rules` None: the live ones. `departments` None: all documents may be found.

    `category`: the line of business, whose instruction and threshold hold as they would for a ticket of it.
    `reranker` stands for the configured one; None: the lexical one here, a neural one in its worker. Where it fails
    the trial says so and keeps the first stage's order. Raises EmptyQuestion, QuestionTooLong, SearchUnavailable,
    UnknownIndex.
    """
    (trial,) = run_trials(
        [Question(question, category)],
        settings,
        as_of=as_of,
        departments=departments,
        rules=rules,
        reranker=reranker,
        latency_budget=configured.RERANK_LATENCY_BUDGET_SECONDS,
    )
    return trial


def run_trials(
    questions: Iterable[Asked],
    settings: RetrievalSettings,
    *,
    as_of: date,
    departments: tuple[str, ...] | None = None,
    rules: Rules | None = None,
    reranker: Reranker | None = None,
    instructions: Mapping[str, str] | None = None,
    source: CandidateSource | None = None,
    latency_budget: float | None = None,
) -> list[Trial]:
    """As `run_trial`, the questions reranked as one batch, in `latency_budget` seconds where it is given.

    `instructions`: texts by key in the place of the saved templates. `source`, made for the same departments, keeps
    texts from one batch to the next.
    """
    chosen = choose_reranker(settings, reranker)
    source = source or CandidateSource(departments)
    search_filter = SearchFilter(as_of=as_of, departments=departments)
    found = [_find(question, settings, search_filter, rules, source) for question in questions]
    began = time.perf_counter()
    requests = [
        RankingRequest(
            item.searched,
            item.candidates,
            choose_instruction(settings.instruction, item.category, instructions),
            latency_budget,
            item.variants,
        )
        for item in found
    ]
    rankings = _rank(chosen, requests)
    share = _ms(time.perf_counter() - began) / (len(found) or 1)
    return [
        _finish(item, settings, ranking, share if chosen else 0.0, wanted=chosen is not None)
        for item, ranking in zip(found, rankings, strict=True)
    ]


def choose_reranker(settings: RetrievalSettings, configured_one: Reranker | None = None) -> Reranker | None:
    """Who orders a trial; None: nobody. No neural model is loaded here."""
    if settings.reranker == "none" or (settings.reranker == "configured" and configured.RERANKER == "none"):
        return None
    if settings.reranker == "lexical":
        return make_lexical_reranker()
    if configured_one is None and is_neural():
        return QueuedReranker(wait_seconds=configured.RERANK_LATENCY_BUDGET_SECONDS + 2)
    return configured_one or make_lexical_reranker()


def _find(
    asked: Asked,
    settings: RetrievalSettings,
    search_filter: SearchFilter,
    rules: Rules | None,
    source: CandidateSource,
) -> _Found:
    began = time.perf_counter()
    question = clean_question(asked.text)
    rules = get_live_rules() if rules is None else rules
    read = choose_wordings(question, settings.rewrites, rules=rules, index=settings.index)
    understanding = _ms(time.perf_counter() - began)
    found = find_documents(
        read.wordings, search_filter, plan=settings.build_plan(), index=settings.index, semantic=settings.semantic
    )
    documents = tuple(source.load(found.documents, name_places(read.place_names, rules), rules))
    milliseconds = {"understanding": understanding, **found.milliseconds}
    return _Found(
        question=question,
        category=asked.category,
        wordings=found.wordings,
        index=found.index,
        release=rules.release,
        embedder=found.embedder,
        documents=documents,
        notices=found.notices,
        milliseconds=milliseconds,
        rankings=found.rankings,
    )


def _rank(reranker: Reranker | None, requests: Sequence[RankingRequest]) -> Sequence[Ranking | None]:
    if reranker is None or not requests:
        return [None] * len(requests)
    try:
        return reranker.rank(requests)
    except RerankerError:
        logger.exception("%s trials stay in first-stage order", len(requests))
        return [None] * len(requests)


def _finish(
    found: _Found, settings: RetrievalSettings, ranking: Ranking | None, rerank_ms: float, *, wanted: bool
) -> Trial:
    decision = judge_lookup(
        question=found.searched,
        candidates=found.candidates,
        ranking=ranking,
        retrieval=settings,
        category=found.category,
    )
    reranked = ranking.notices if ranking else (RERANKER_UNAVAILABLE,) if wanted and found.documents else ()
    return Trial(
        question=found.question,
        settings=settings,
        wordings=found.wordings,
        documents=_order_documents(found.documents, ranking),
        decision=decision,
        reranker=ranking.info if ranking and ranking.scored else None,
        notices=tuple(dict.fromkeys([*found.notices, *reranked])),
        milliseconds={**found.milliseconds, "rerank": round(rerank_ms, 1)},
        index=found.index,
        release=found.release,
        embedder=found.embedder,
        candidates=found.candidates,
        rankings=found.rankings,
    )


def _order_documents(
    documents: Sequence[tuple[DocumentHit, Candidate]], ranking: Ranking | None
) -> tuple[TrialDocument, ...]:
    scores = {scored.id: scored for scored in ranking.scored} if ranking else {}
    places = {name: place for place, name in enumerate(ranking.ids, start=1)} if ranking else {}
    ordered = []
    for first_stage_rank, (hit, candidate) in enumerate(documents, start=1):
        scored = scores.get(candidate.id)
        ordered.append(
            TrialDocument(
                document_id=hit.document_id,
                version_id=hit.version_id,
                title=candidate.title,
                document_number=candidate.document_number,
                passage_id=hit.passages[0].passage_id,
                passage_text=candidate.text,
                first_stage_rank=first_stage_rank,
                rank=places.get(candidate.id, first_stage_rank),
                log_odds=scored.log_odds if scored else None,
                relevance_score=scored.relevance_score if scored else None,
                first_stage_features=candidate.features,
            )
        )
    return tuple(sorted(ordered, key=lambda document: document.rank))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
