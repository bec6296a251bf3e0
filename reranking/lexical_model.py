"""The coefficients of the lexical reranker: a small log-linear model in a readable file.

A candidate's score is Σ_f x_f · (base_f + Σ_g z_g · weight_{f,g}). x_f are its features. z_g are the question's gates:
how well the best candidate does in one feature, standardised. They let the model trust the title where some title
answers the question, and whole-document coverage where no sentence does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reranking.lexical_features import FEATURES
from reranking.score_gap import ReviewRules

DEFAULT_MODEL_FILE = Path(__file__).with_name("lexical_model.json")
FORMAT = 1
BASE = "base"


class LexicalModelError(ValueError):
    """The file is no lexical model, or of another format. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The greatest value of `feature` among a question's candidates, as (value − mean) / scale."""

    feature: str
    mean: float
    scale: float


@dataclass(frozen=True)
class LexicalModel:
    """`weights`: feature to its coefficients, one for `base` and one for each gate's feature."""

    weights: Mapping[str, Mapping[str, float]]
    gates: tuple[Gate, ...] = ()
    review: ReviewRules = field(default_factory=ReviewRules)
    trained_on: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def revision(self) -> str:
        """A hash of the coefficients: equal scores, equal revision."""
        content = {"weights": self.weights, "gates": [asdict(gate) for gate in self.gates]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def score(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """Scores of one question's candidates, whose features come in the columns of FEATURES."""
        coefficients = [(FEATURES.index(name), value) for name, value in self.find_coefficients(rows).items()]
        return [sum(row[column] * coefficient for column, coefficient in coefficients) for row in rows]

    def find_coefficients(self, rows: Sequence[Sequence[float]]) -> dict[str, float]:
        """What each feature weighs for this question: a candidate's score is the sum of feature × coefficient."""
        opened = {gate.feature: _open_gate(gate, rows) for gate in self.gates}
        opened[BASE] = 1.0
        return {
            name: sum(opened[gate] * weight for gate, weight in weights.items())
            for name, weights in self.weights.items()
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "revision": self.revision,
            "trained_on": self.trained_on,
            "review": asdict(self.review),
            "gates": [asdict(gate) for gate in self.gates],
            "weights": self.weights,
        }

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load_model(path: Path | None = None) -> LexicalModel:
    """The model of a file; None: the one that ships. Raises LexicalModelError, OSError."""
    path = path or DEFAULT_MODEL_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LexicalModelError(f"{path}: {error!r}") from error
    return parse_model(content, source=str(path))


def parse_model(content: Any, *, source: str = "lexical model") -> LexicalModel:
    """The model of what `to_json` gave. `source` begins the message of a LexicalModelError."""
    try:
        if content["format"] != FORMAT:
            raise LexicalModelError(f"{source}: format {content['format']}, not {FORMAT}")
        model = LexicalModel(
            weights={name: dict(row) for name, row in content["weights"].items()},
            gates=tuple(Gate(**gate) for gate in content["gates"]),
            review=ReviewRules(**content["review"]),
            trained_on=content["trained_on"],
        )
        _check(model, content["revision"])
    except (KeyError, TypeError, AttributeError) as error:
        raise LexicalModelError(f"{source}: {error!r}") from error
    return model


def _check(model: LexicalModel, revision: str) -> None:
    known = {BASE, *(gate.feature for gate in model.gates)}
    for name, row in model.weights.items():
        if name not in FEATURES or not known.issuperset(row):
            raise LexicalModelError(f"unknown feature or gate in the row {name!r}")
        if not all(math.isfinite(value) for value in row.values()):
            raise LexicalModelError(f"{name!r} has a coefficient that is no number")
    if any(gate.feature not in FEATURES or not gate.scale > 0 for gate in model.gates):
        raise LexicalModelError("a gate has an unknown feature or no scale")
    if revision != model.revision:
        raise LexicalModelError(f"coefficients were changed by hand: they are revision {model.revision}")


def _open_gate(gate: Gate, rows: Sequence[Sequence[float]]) -> float:
    column = FEATURES.index(gate.feature)
    return (max((row[column] for row in rows), default=gate.mean) - gate.mean) / gate.scale
