"""Coefficients in their file, and the scores they give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reranking.lexical_features import FEATURES
from reranking.lexical_model import DEFAULT_MODEL_FILE, Gate, LexicalModel, LexicalModelError, load_model
from reranking.score_gap import ReviewRules


@pytest.fixture
def model() -> LexicalModel:
    return LexicalModel(
        weights={"fused_share": {"base": 2.0, "title_asked": 1.0}, "title_asked": {"base": 0.5}},
        gates=(Gate("title_asked", 0.4, 0.2),),
        review=ReviewRules(share_threshold=0.3, signal="share", check_first_stage=False),
        trained_on={"questions": 12},
    )


def row(**figures: float) -> list[float]:
    return [figures.get(name, 0.0) for name in FEATURES]


def test_gate_opens_with_the_best_candidate_for_all_of_them(model: LexicalModel) -> None:
    scores = model.score([row(fused_share=1.0, title_asked=0.6), row(fused_share=0.5)])

    # The gate stands at (0.6 − 0.4) / 0.2 = 1 for both.
    assert scores == [pytest.approx(1.0 * (2.0 + 1.0) + 0.6 * 0.5), pytest.approx(0.5 * (2.0 + 1.0))]


def test_no_candidates_give_no_scores(model: LexicalModel) -> None:
    assert model.score([]) == []


def test_saved_model_is_loaded_equal(model: LexicalModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model.json")

    loaded = load_model(tmp_path / "model.json")

    assert loaded == model
    assert loaded.revision == model.revision


def test_file_is_readable_and_names_its_revision(model: LexicalModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model.json")

    content = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))

    assert content["revision"] == model.revision
    assert content["weights"]["fused_share"] == {"base": 2.0, "title_asked": 1.0}
    assert content["trained_on"] == {"questions": 12}


def test_review_rules_do_not_change_the_revision_of_the_scores(model: LexicalModel) -> None:
    assert LexicalModel(model.weights, model.gates).revision == model.revision
    assert LexicalModel({"fused_share": {"base": 2.1}}, model.gates).revision != model.revision


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"weights": {"fused_share": {"base": 3.0}}},
        {"weights": {"length": {"base": 3.0}}},
        {"weights": {"fused_share": {"wrong_gate": 3.0}}},
        {"weights": {"fused_share": {"base": float("nan")}}},
        {"weights": [1, 2]},
        {"gates": [{"feature": "title_asked", "mean": 0.4, "scale": 0.0}]},
        {"gates": [{"feature": "title_asked"}]},
        {"review": {"unknown": 1}},
    ],
)
def test_file_that_cannot_be_used_is_refused(model: LexicalModel, tmp_path: Path, changes: dict[str, object]) -> None:
    model.save(tmp_path / "model.json")
    change(tmp_path / "model.json", **changes)

    with pytest.raises(LexicalModelError):
        load_model(tmp_path / "model.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}'])
def test_file_that_is_no_model_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text, encoding="utf-8")

    with pytest.raises(LexicalModelError):
        load_model(tmp_path / "model.json")


def test_shipped_model_has_its_review_threshold_and_is_small() -> None:
    shipped = load_model()

    assert shipped.review.signal == "share"
    assert 0.05 < shipped.review.share_threshold < 0.9
    assert shipped.weights.keys() <= set(FEATURES)
    assert DEFAULT_MODEL_FILE.stat().st_size < 10_000
