"""A trial's order explained: the parts of the lexical reranker's score add up to it."""

from __future__ import annotations

from datetime import date

import pytest

from hotline.explanations import FEATURE_NAMES, explain_trial
from hotline.retrieval_settings import RetrievalSettings
from hotline.trials import run_trial
from kb import indexing
from kb.engine import get_search_engine
from kb.models import DocumentVersion
from reranking.lexical_features import FEATURES
from tests.dictionaries import release_terms

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 21)
QUESTION = "云岚市楼上漏水物业不管，多久维修"


def test_contributions_add_up_to_the_score(policies: dict[str, DocumentVersion]) -> None:
    trial = run_trial(QUESTION, RetrievalSettings(reranker="lexical"), as_of=TODAY)
    explained = explain_trial(trial, [document.version_id for document in trial.documents], as_of=TODAY)

    for document in trial.documents:
        why = explained[document.version_id]
        total = sum(part.part for part in why.contributions) + why.rest
        assert total == pytest.approx(document.log_odds, abs=1e-4)
        assert why.contributions[0].part == max((part.part for part in why.contributions), key=abs)
        assert why.rankings


def test_contributions_add_up_after_a_release_of_domain_words(
    policies: dict[str, DocumentVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run_trial(QUESTION, RetrievalSettings(reranker="lexical"), as_of=TODAY).index
    release_terms(monkeypatch, "楼上漏水", "多久维修")
    indexing.rebuild_index()

    trial = run_trial(QUESTION, RetrievalSettings(reranker="lexical"), as_of=TODAY)
    explained = explain_trial(trial, [document.version_id for document in trial.documents], as_of=TODAY)

    assert trial.index != before
    assert "楼上漏水" in get_search_engine().segmenter(trial.index).analyze_query(QUESTION).full.words
    for document in trial.documents:
        why = explained[document.version_id]
        assert sum(part.part for part in why.contributions) + why.rest == pytest.approx(document.log_odds, abs=1e-4)


def test_other_orders_have_no_features(policies: dict[str, DocumentVersion]) -> None:
    trial = run_trial(QUESTION, RetrievalSettings(reranker="none"), as_of=TODAY)
    (explained,) = explain_trial(trial, [trial.documents[0].version_id], as_of=TODAY).values()

    assert explained.contributions == ()
    assert explained.rankings


def test_every_feature_has_a_name() -> None:
    assert set(FEATURES) <= set(FEATURE_NAMES)
