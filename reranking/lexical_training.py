"""Fitting the lexical reranker: listwise softmax loss, a ridge penalty, Newton's method.

Two thousand questions take a second or two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranking.lexical_features import FEATURES, GATED, STATUTES_FIRST
from reranking.lexical_model import BASE, Gate, LexicalModel
from reranking.score_gap import ReviewRules, first_share

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

GATES = ("sentence_bigrams", "title_asked", STATUTES_FIRST)
PENALTY = 0.01
PRIOR_QUESTIONS = 2000
"""How many questions the coefficients of a prior stand for."""
SENT_SHARE = 0.285
"""The share of questions that the share threshold sends to secondary review."""
_FOLDS = 4
_STEPS = 30
_TOLERANCE = 1e-7
_DIGITS = 4


class TrainingError(Exception):
    """There is too little to learn from. The message is for the administrator, in Chinese."""


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question's candidates: rows as `list_features` gives them, and which of them are right."""

    rows: Sequence[Sequence[float]]
    right: Sequence[bool]
    weight: float = 1.0


def train_model(
    questions: Sequence[LabelledQuestion],
    *,
    trained_on: Mapping[str, Any] | None = None,
    penalty: float = PENALTY,
    prior: LexicalModel | None = None,
) -> LexicalModel:
    """Coefficients from the questions that have a right and a wrong candidate, the review threshold from them all.

    `prior`: coefficients to depart from; they weigh as much as PRIOR_QUESTIONS questions would, so that few questions
    change them little. The threshold is taken from questions scored by models that were not trained on them. Raises
    TrainingError.
    """
    usable = [question for question in questions if any(question.right) and not all(question.right)]
    if len(usable) < 2 * _FOLDS:
        raise TrainingError(f"只有 {len(usable)} 个问题的候选中既有正确文件又有其他文件，不足以训练。")
    model = _fit(usable, penalty, prior)
    share = _find_share_threshold(questions, penalty, prior)
    review = ReviewRules(share_threshold=share, signal="share", check_first_stage=False)
    return replace(model, review=review, trained_on=dict(trained_on or {}))


def _find_share_threshold(questions: Sequence[LabelledQuestion], penalty: float, prior: LexicalModel | None) -> float:
    """The first's share below which SENT_SHARE of the questions lie."""
    shares = []
    for fold in range(_FOLDS):
        kept = [question for i, question in enumerate(questions) if i % _FOLDS != fold and any(question.right)]
        model = _fit(kept, penalty, prior)
        for question in questions[fold::_FOLDS]:
            if len(question.rows) > 1:
                shares.append(first_share(sorted(model.score(question.rows), reverse=True)))
    shares.sort()
    return round(shares[int(SENT_SHARE * len(shares))], _DIGITS)


def _fit(questions: Sequence[LabelledQuestion], penalty: float, prior: LexicalModel | None) -> LexicalModel:
    plain, right, present = _stack(questions)
    gates = prior.gates if prior else _fit_gates(plain, present)
    opened = np.stack([_open(gate, plain, present) for gate in gates], axis=1)
    gated = np.where(np.isin(FEATURES, GATED), plain, 0.0)
    inputs = np.concatenate([plain, *(gated * opened[:, i, None, None] for i in range(len(gates)))], axis=2)
    known = inputs[present]
    mean, scale = known.mean(axis=0), known.std(axis=0)
    scale[scale < 1e-9] = np.inf  # what never varies gets no weight, or keeps the one it had
    known_weights = _lay_out(prior, gates)
    start = np.where(np.isinf(scale), 0.0, known_weights * np.where(np.isinf(scale), 0.0, scale))
    if prior:
        penalty *= max(1.0, PRIOR_QUESTIONS / len(questions))
    weights = np.array([question.weight for question in questions])
    standard = np.where(present[..., None], (inputs - mean) / scale, 0.0)
    solved = _minimize(standard, right, present, weights / weights.sum(), penalty, start)
    solved = np.where(np.isinf(scale), known_weights, solved / scale)
    columns = solved.reshape(1 + len(gates), len(FEATURES))
    names = (BASE, *(gate.feature for gate in gates))
    return LexicalModel(
        weights={
            feature: {name: round(float(columns[row, i]), _DIGITS) for row, name in enumerate(names)}
            for i, feature in enumerate(FEATURES)
        },
        gates=gates,
    )


def _lay_out(prior: LexicalModel | None, gates: Sequence[Gate]) -> Array:
    """The prior's coefficients in the columns of the inputs; zeros without one."""
    names = (BASE, *(gate.feature for gate in gates))
    weights = prior.weights if prior else {}
    return np.array([weights.get(feature, {}).get(name, 0.0) for name in names for feature in FEATURES])


def _stack(questions: Sequence[LabelledQuestion]) -> tuple[Array, Mask, Mask]:
    """Features (questions, candidates, features), which are right, and which places hold a candidate."""
    most = max(len(question.rows) for question in questions)
    plain = np.zeros((len(questions), most, len(FEATURES)))
    right = np.zeros((len(questions), most), dtype=bool)
    present = np.zeros((len(questions), most), dtype=bool)
    for i, question in enumerate(questions):
        count = len(question.rows)
        plain[i, :count], right[i, :count], present[i, :count] = question.rows, question.right, True
    return plain, right, present


def _fit_gates(plain: Array, present: Mask) -> tuple[Gate, ...]:
    gates = []
    for name in GATES:
        best = np.where(present, plain[:, :, FEATURES.index(name)], -np.inf).max(axis=1)
        gates.append(Gate(name, round(float(best.mean()), _DIGITS), round(float(best.std()), _DIGITS) or 1.0))
    return tuple(gates)


def _open(gate: Gate, plain: Array, present: Mask) -> Array:
    best: Array = np.where(present, plain[:, :, FEATURES.index(gate.feature)], -np.inf).max(axis=1)
    return (best - gate.mean) / gate.scale


def _minimize(inputs: Array, right: Mask, present: Mask, weights: Array, penalty: float, start: Array) -> Array:
    """Newton's method with step halving on −Σ w · ln Σ_right p + penalty · |b − start|²."""
    flat = inputs.reshape(-1, inputs.shape[2])
    solved = start.copy()
    chances, loss = _judge(flat, solved, right, present, weights, penalty, start)
    for _ in range(_STEPS):
        among_right = chances * right / ((chances * right).sum(axis=1, keepdims=True) + 1e-12)
        slope = ((chances - among_right) * weights[:, None]).ravel() @ flat + 2 * penalty * (solved - start)
        weighed = chances * weights[:, None]
        means = np.einsum("qc,qcf->qf", chances, inputs)
        curvature = (flat * weighed.ravel()[:, None]).T @ flat - (means * weights[:, None]).T @ means
        step = np.linalg.solve(curvature + 2 * penalty * np.eye(len(solved)), slope)
        length = 1.0
        while True:
            chances, next_loss = _judge(flat, solved - length * step, right, present, weights, penalty, start)
            if next_loss <= loss or length < 1e-3:
                break
            length /= 2
        solved = solved - length * step
        if loss - next_loss < _TOLERANCE:
            break
        loss = next_loss
    return solved


def _judge(
    flat: Array, solved: Array, right: Mask, present: Mask, weights: Array, penalty: float, start: Array
) -> tuple[Array, float]:
    """Each candidate's probability of being the right one, and the loss."""
    scores = np.where(present, (flat @ solved).reshape(present.shape), -np.inf)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances: Array = powers / powers.sum(axis=1, keepdims=True)
    hit = (chances * right).sum(axis=1)
    moved = solved - start
    return chances, float(-(weights * np.log(hit + 1e-12)).sum() + penalty * (moved @ moved))
