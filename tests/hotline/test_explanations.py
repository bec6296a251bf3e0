"""A trial's order explained: the parts of the lexical reranker's score add up to it."""

from __future__ import annotations

from datetime import date

import pytest

from hotline import first_stage
from hotline.explanations import FEATURE_NAMES, explain_trial, name_ranking
from hotline.retrieval_settings import RetrievalSettings
from hotline.semantic_recall import SemanticRecall
from hotline.trials import run_trial
from kb import indexing
from kb.engine import get_search_engine
from kb.models import DocumentVersion
from kb.retrieval import Ranked
from kb.search.types import PassageHit
from kb.semantic_search import NAME as SEMANTIC
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


def test_what_rewrites_sums_and_meaning_gave_is_told(
    policies: dict[str, DocumentVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    meant = Ranked(SEMANTIC, 1.0, [PassageHit(0, policies["rent"].pk, policies["rent"].document_id, 0.75)])
    monkeypatch.setattr(first_stage, "recall_by_meaning", lambda *given: SemanticRecall((meant,), (), 0.01))
    trial = run_trial("云岚市公租房租金", RetrievalSettings(reranker="none", rewrites="always"), as_of=TODAY)
    (why,) = explain_trial(trial, [policies["rent"].pk], as_of=TODAY).values()

    told = {hit.name: hit for hit in why.rankings}
    assert set(told) >= {"bigrams", "passage_sum", "variant_words", "semantic"}
    assert (told["semantic"].place, told["semantic"].score, told["semantic"].weight) == (1, 0.75, 1.0)
    assert told["bigrams"].weight == 0.5
    assert name_ranking("variant_words") == "改写·词"


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
