"""The figures that the product promises, measured on the evaluation data. One run of about three minutes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from hotline.evaluation.corpus import index_documents
from hotline.evaluation.data import load_documents, load_questions, split_by_document, split_halves
from hotline.evaluation.lookups import Asked, ask_questions
from hotline.evaluation.report import Report
from hotline.evaluation.runner import judge_with_model, summarize
from hotline.evaluation.training import judge_across
from reranking.lexical_model import load_model

pytestmark = [pytest.mark.evaluation, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def asked(evaluation_dir: Path, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> list[Asked]:
    documents = load_documents(evaluation_dir / "policies" / "docs.jsonl")
    questions = load_questions(evaluation_dir / "policies" / "queries.jsonl", documents)
    with django_db_blocker.unblock(), index_documents(documents) as corpus:
        return list(ask_questions(corpus, questions, lists_features=True))


@pytest.fixture(scope="module")
def halves(asked: list[Asked]) -> Report:
    return summarize(judge_across(asked, split_halves))


def test_first_stage_finds_and_orders(halves: Report) -> None:
    figures = halves.sets["all"].first_stage

    assert figures is not None
    assert figures["recall@50"] >= 93
    assert figures["top1"] >= 49


def test_reranked_order_on_questions_not_trained_on(halves: Report) -> None:
    figures = halves.sets["all"].reranked

    assert figures is not None
    assert figures["top1"] >= 60
    assert figures["mrr@5"] >= 69
    assert figures["ndcg@3"] >= 68


def test_law_questions_do_not_harm_policy_questions(halves: Report) -> None:
    figures = halves.sets["ncp"].reranked

    assert figures is not None
    assert figures["top1"] >= 85


def test_what_is_not_sent_to_review_is_right(halves: Report) -> None:
    review = halves.sets["all"].review

    assert (review["sent"] or 100) <= 30
    assert (review["top1_of_rest"] or 0) >= 77


def test_reranked_order_on_documents_that_no_training_question_shares(asked: list[Asked]) -> None:
    figures = summarize(judge_across(asked, split_by_document)).sets["all"].reranked

    assert figures is not None
    assert figures["top1"] >= 57


def test_shipped_coefficients_do_no_harm_on_any_set(asked: list[Asked]) -> None:
    report = summarize(judge_with_model(asked, load_model()))

    assert report.harmed_sets() == []
    assert (report.sets["all"].review["sent"] or 100) <= 40


def test_highlighted_sentences_touch_the_answer(halves: Report) -> None:
    marked = halves.sets["ncp"].highlight

    assert (marked["best"] or 0) >= 72
    assert (marked["three_best"] or 0) >= 91


def test_first_passage_shown_holds_the_answer(halves: Report) -> None:
    assert (halves.sets["ncp"].highlight["first_passage"] or 0) >= 76
