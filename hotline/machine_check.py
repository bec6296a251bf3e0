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
    """`candidates` are the lookup's; the first five of `ranking` are scored again. Raises RerankerError."""
    by_id = {candidate.id: candidate for candidate in candidates}
    top = [_widen(by_id[scored.id]) for scored in ranking.scored[:DEPTH]]
    if len(top) < 2:
        return MachineCheck(False, None, threshold, 0, 0)
    texts = list(dict.fromkeys((question, *variants)))[:ROWS]
    requests = [RankingRequest(text, top, instruction, latency_budget) for text in texts]
    return _judge(reranker.rank(requests), first=top[0].id, others=[c.id for c in top[1:]], threshold=threshold)


def _widen(candidate: Candidate) -> Candidate:
    """The best passages together instead of the best alone."""
    return replace(candidate, text="\n".join(candidate.passages) or candidate.text)


def _judge(rows: Sequence[Ranking], *, first: str, others: Sequence[str], threshold: float) -> MachineCheck:
    scores = [{scored.id: scored.log_odds for scored in row.scored} for row in rows]
    complete = [row for row in scores if first in row and all(other in row for other in others)]
    leads = [row[first] - max(row[other] for other in others) for row in complete]
    agreeing = sum(lead > 0 for lead in leads)
    gap = fmean(leads) if leads else None
    is_settled = gap is not None and len(complete) == len(rows) == agreeing and gap >= threshold
    return MachineCheck(is_settled, gap, threshold, len(rows), agreeing)
