"""From asked questions to a report: order them, decide on review, add up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from hotline.evaluation.lookups import Asked
from hotline.evaluation.metrics import average, judge_order, percentage, percentile
from hotline.evaluation.report import Report, SetFigures
from reranking.lexical import order_rows
from reranking.lexical_model import LexicalModel
from reranking.score_gap import Decision, ReviewRules, decide_review
from reranking.types import Ranking

STAGES = ("understanding", "first_stage", "rerank", "highlight")


@dataclass(frozen=True, slots=True)
class Judged:
    """An asked question with its final order and the decision on review."""

    asked: Asked
    ranking: Ranking | None
    decision: Decision

    @property
    def order(self) -> Sequence[str]:
        return self.ranking.ids if self.ranking else self.asked.candidate_ids


def judge_with_model(asked: Iterable[Asked], model: LexicalModel) -> list[Judged]:
    """Order by one lexical model, under the review rules of its revision."""
    return [judge_rows(item, model) for item in asked]


def judge_rows(asked: Asked, model: LexicalModel) -> Judged:
    """`asked` must have rows."""
    began = time.perf_counter()
    ranking = order_rows(model, asked.candidate_ids, asked.rows or [])
    spent = asked.seconds["rerank"] + time.perf_counter() - began
    timed = replace(asked, seconds={**asked.seconds, "rerank": spent})
    return Judged(timed, ranking, _decide(asked, ranking, model.review))


def judge_ranked(asked: Iterable[Asked], rules: Callable[[Ranking | None], ReviewRules]) -> list[Judged]:
    """Keep the rankings as they came."""
    return [Judged(item, item.ranking, _decide(item, item.ranking, rules(item.ranking))) for item in asked]


def summarize(judged: Sequence[Judged]) -> Report:
    """Figures over all and for each set, and the times. `judged` must not be empty."""
    names = dict.fromkeys(item.asked.question.set_name for item in judged)
    sets = {"all": _add_up(judged)}
    for name in names:
        if name and name != "all":
            sets[name] = _add_up([item for item in judged if item.asked.question.set_name == name])
    seconds = {stage: [item.asked.seconds.get(stage, 0.0) for item in judged] for stage in STAGES}
    seconds["total"] = [sum(row) for row in zip(*seconds.values(), strict=True)]
    return Report(
        sets,
        {
            stage: {"median": 1000 * percentile(column, 0.5), "p95": 1000 * percentile(column, 0.95)}
            for stage, column in seconds.items()
        },
        _add_up_checks(judged),
    )


def _decide(asked: Asked, ranking: Ranking | None, rules: ReviewRules) -> Decision:
    return decide_review(ranking, question=asked.searched, first_stage_ids=asked.candidate_ids, rules=rules)


def _add_up_checks(judged: Sequence[Judged]) -> dict[str, float | None]:
    checked = [item for item in judged if item.asked.check]
    settled = [item for item in checked if item.asked.check and item.asked.check.is_settled]
    return {
        "sent": sum(item.decision.needs_review for item in judged),
        "checked": len(checked),
        "settled": len(settled),
        "settled_rightly": percentage([item.order[0] in item.asked.question.right_ids for item in settled]),
    }


def _add_up(judged: Sequence[Judged]) -> SetFigures:
    right = [item.order[0] in item.asked.question.right_ids if item.order else False for item in judged]
    kept = [is_right for item, is_right in zip(judged, right, strict=True) if not item.decision.needs_review]
    touches = [item.asked.touches for item in judged if item.asked.touches is not None]
    return SetFigures(
        queries=len(judged),
        first_stage=average(judge_order(item.asked.candidate_ids, item.asked.question.right_ids) for item in judged),
        reranked=average(judge_order(item.order, item.asked.question.right_ids) for item in judged),
        review={
            "sent": percentage([item.decision.needs_review for item in judged]),
            "top1_of_rest": percentage(kept),
        },
        highlight={
            "best": percentage([any(hits[:1]) for hits in touches]),
            "three_best": percentage([any(hits) for hits in touches]),
            "first_passage": percentage(
                [item.asked.first_passage for item in judged if item.asked.first_passage is not None]
            ),
        },
    )
