"""Training the lexical reranker on asked questions. Needs numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hotline.evaluation.data import Question
from hotline.evaluation.lookups import Asked
from hotline.evaluation.runner import Judged, judge_rows
from reranking.lexical_training import LabelledQuestion, train_model

Split = Callable[[Sequence[Question]], list[tuple[list[int], list[int]]]]


def label_question(asked: Asked) -> LabelledQuestion:
    """`asked` must have rows."""
    right = [candidate_id in asked.question.right_ids for candidate_id in asked.candidate_ids]
    return LabelledQuestion(asked.rows or [], right)


def judge_across(asked: Sequence[Asked], split: Split) -> list[Judged]:
    """Order each fold by a model trained on what the split allows, thresholds fixed there too. Raises TrainingError."""
    judged: dict[int, Judged] = {}
    for trained, measured in split([item.question for item in asked]):
        model = train_model([label_question(asked[i]) for i in trained])
        judged |= {i: judge_rows(asked[i], model) for i in measured}
    return [judged[i] for i in sorted(judged)]
