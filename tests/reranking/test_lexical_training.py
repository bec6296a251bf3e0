"""Fitting coefficients to labelled questions."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from reranking.lexical_features import FEATURES
from reranking.lexical_model import LexicalModel
from reranking.lexical_training import SENT_SHARE, LabelledQuestion, TrainingError, train_model
from reranking.score_gap import first_share

INFORMATIVE = FEATURES.index("sentence_bigrams")
MISLEADING = FEATURES.index("bigrams_share")


def make_questions(count: int, *, seed: int = 1, candidates: int = 8) -> list[LabelledQuestion]:
    """The right one leads in INFORMATIVE, and trails a little in MISLEADING; the rest is noise."""
    source = random.Random(seed)
    questions = []
    for _ in range(count):
        rows = [[source.random() for _ in FEATURES] for _ in range(candidates)]
        right = source.randrange(candidates)
        rows[right][INFORMATIVE] = min(1.0, rows[right][INFORMATIVE] + 0.6)
        rows[right][MISLEADING] *= 0.7
        questions.append(LabelledQuestion(rows, [place == right for place in range(candidates)]))
    return questions


def top1(model: LexicalModel, questions: list[LabelledQuestion]) -> float:
    hits = 0
    for question in questions:
        scores = model.score(question.rows)
        hits += question.right[scores.index(max(scores))]
    return hits / len(questions)


def test_model_finds_what_tells_right_from_wrong_on_other_questions() -> None:
    model = train_model(make_questions(300))

    assert model.weights["sentence_bigrams"]["base"] > 0 > model.weights["bigrams_share"]["base"]
    assert top1(model, make_questions(200, seed=2)) > 0.5  # by chance: 0.125


def test_training_twice_gives_the_same_revision() -> None:
    assert train_model(make_questions(60)).revision == train_model(make_questions(60)).revision


def test_every_right_candidate_counts_as_right() -> None:
    questions = [
        replace(question, right=[row[INFORMATIVE] > 0.5 for row in question.rows]) for question in make_questions(120)
    ]

    model = train_model([question for question in questions if any(question.right)])

    assert model.weights["sentence_bigrams"]["base"] == max(row["base"] for row in model.weights.values())


def test_questions_have_different_numbers_of_candidates() -> None:
    mixed = [*make_questions(60), *make_questions(60, seed=3, candidates=3)]

    assert top1(train_model(mixed), mixed) > 0.5


def test_threshold_sends_the_share_that_is_wanted() -> None:
    model = train_model(make_questions(400))
    others = make_questions(400, seed=2)

    shares = [first_share(sorted(model.score(question.rows), reverse=True)) for question in others]
    sent = sum(share < model.review.share_threshold for share in shares) / len(shares)

    assert model.review.signal == "share"
    assert sent == pytest.approx(SENT_SHARE, abs=0.08)


def test_weight_of_questions_decides_where_they_contradict() -> None:
    agreeing = make_questions(100)
    contradicting = [
        replace(question, rows=[[1 - value for value in row] for row in question.rows])
        for question in make_questions(100, seed=2)
    ]

    model = train_model(
        [*(replace(question, weight=9.0) for question in agreeing), *contradicting],
    )

    assert model.weights["sentence_bigrams"]["base"] > 0


def test_feature_that_never_varies_gets_no_weight() -> None:
    column = FEATURES.index("words_share")
    questions = make_questions(60)
    for question in questions:
        for row in question.rows:
            row[column] = 0.5  # type: ignore[index]

    assert train_model(questions).weights["words_share"]["base"] == 0.0


@pytest.mark.parametrize("count", [0, 5])
def test_too_few_questions_are_refused(count: int) -> None:
    with pytest.raises(TrainingError, match="不足以训练"):
        train_model(make_questions(count))


def test_questions_without_a_right_candidate_teach_nothing() -> None:
    hopeless = [replace(question, right=[False] * 8) for question in make_questions(50)]

    with pytest.raises(TrainingError):
        train_model(hopeless)
    assert train_model([*make_questions(60), *hopeless]).weights == train_model(make_questions(60)).weights


def test_few_questions_change_a_prior_little_and_many_change_it_more() -> None:
    prior = train_model(make_questions(300))
    others = [
        replace(question, rows=[[1 - value for value in row] for row in question.rows])
        for question in make_questions(400, seed=2)
    ]

    learned, few, many = (
        model.weights["sentence_bigrams"]["base"]
        for model in (prior, train_model(others[:40], prior=prior), train_model(others, prior=prior))
    )

    assert learned > few > 0 > many
    assert train_model(others, prior=prior).gates == prior.gates


def test_prior_keeps_the_weight_of_what_does_not_vary_here() -> None:
    prior = train_model(make_questions(300))
    questions = make_questions(60)
    for question in questions:
        for row in question.rows:
            row[INFORMATIVE] = 0.5  # type: ignore[index]

    assert train_model(questions, prior=prior).weights["sentence_bigrams"] == prior.weights["sentence_bigrams"]
