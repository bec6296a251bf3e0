"""The machine check of secondary review: the top five scored again on fuller text and on the question's variants.

Pure. A doubtful first is settled when it stays first in every row and its mean lead reaches the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from reranking.score_gap import Decision
from reranking.types import Candidate, Ranking, RankingRequest, Reranker, RerankerInfo

DEPTH = 5
ROWS = 4  # the question and at most three variants
SETTLEABLE = frozenset({"small_score_gap", "low_first_share", "first_stage_disagrees"})


@dataclass(frozen=True, slots=True)
class Doubt:
    """A ranking whose first is doubtful. `candidates` are the lookup's; `threshold` is what its gap fell short of."""

    question: str
    variants: Sequence[str]
    candidates: Sequence[Candidate]
    ranking: Ranking
    threshold: float
    instruction: str | None = None

    @property
    def top(self) -> list[Candidate]:
        """The first five of the ranking, on fuller text."""
        by_id = {candidate.id: candidate for candidate in self.candidates}
        return [_widen(by_id[scored.id]) for scored in self.ranking.scored[:DEPTH]]


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """`gap` is the first's mean lead in log-odds over the rows. `rows`: how many times the five were scored."""

    is_settled: bool
    gap: float | None
    threshold: float
    rows: int
    agreeing_rows: int


def can_be_settled(decision: Decision, info: RerankerInfo) -> bool:
    """Only doubt about the order, and only by a reranker that reads.

    The lexical one has read all of the document's text already: scored again it repeats itself, and settled rightly
    in 10 of 25 cases (docs/adr/0003).
    """
    return decision.needs_review and info.calibrated and SETTLEABLE.issuperset(decision.reasons)


def check_doubts(
    reranker: Reranker, doubts: Sequence[Doubt], *, latency_budget: float | None = None
) -> list[MachineCheck]:
    """All of them in one call of the reranker, in which they share the budget. Raises RerankerError."""
    rows = [_list_rows(doubt, latency_budget) for doubt in doubts]
    requests = [request for own in rows for request in own]
    rankings = iter(reranker.rank(requests) if requests else ())
    return [_judge(doubt, [next(rankings) for _ in own]) for doubt, own in zip(doubts, rows, strict=True)]


def check_by_machine(
    reranker: Reranker,
    *,
    question: str,
    variants: Sequence[str],
    candidates: Sequence[Candidate],
    ranking: Ranking,
    threshold: float,
    instruction: str | None = None,
    latency_budget: float | None = None,
) -> MachineCheck:
    """One doubt alone. Raises RerankerError."""
    doubt = Doubt(question, variants, candidates, ranking, threshold, instruction)
    return check_doubts(reranker, [doubt], latency_budget=latency_budget)[0]


def _list_rows(doubt: Doubt, latency_budget: float | None) -> list[RankingRequest]:
    """None for a single candidate, which cannot be compared."""
    top = doubt.top
    texts = list(dict.fromkeys((doubt.question, *doubt.variants)))[:ROWS] if len(top) > 1 else []
    return [RankingRequest(text, top, doubt.instruction, latency_budget) for text in texts]


def _widen(candidate: Candidate) -> Candidate:
    """The best passages together instead of the best alone."""
    return replace(candidate, text="\n".join(candidate.passages) or candidate.text)


def _judge(doubt: Doubt, rows: Sequence[Ranking]) -> MachineCheck:
    first, *others = [scored.id for scored in doubt.ranking.scored[:DEPTH]] or [""]
    scores = [_read_scores(row, doubt.ranking.info) for row in rows]
    complete = [row for row in scores if first in row and all(other in row for other in others)]
    leads = [row[first] - max(row[other] for other in others) for row in complete]
    agreeing = sum(lead > 0 for lead in leads)
    gap = fmean(leads) if leads else None
    is_settled = gap is not None and len(complete) == len(rows) == agreeing and gap >= doubt.threshold
    return MachineCheck(is_settled, gap, doubt.threshold, len(rows), agreeing)


def _read_scores(row: Ranking, info: RerankerInfo) -> dict[str, float]:
    """By candidate. Nothing of a row that another reranker scored: the threshold is not meant for its figures."""
    is_same = (row.info.name, row.info.revision) == (info.name, info.revision)
    return {scored.id: scored.log_odds for scored in row.scored} if is_same else {}
