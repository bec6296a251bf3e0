"""A document's BM25 score in words: the parts add up to the whole."""

from __future__ import annotations

import pytest

from kb.explanation import explain_documents
from kb.retrieval import DEFAULT_PLAN, retrieve
from kb.search.types import SearchEngine, SearchFilter
from tests.policies import publish_samples

pytestmark = pytest.mark.django_db
QUESTION = "云岚市楼上漏水物业多久维修"
EVERYTHING = SearchFilter()


def test_parts_of_the_words_are_the_score(engine: SearchEngine) -> None:
    policies = publish_samples()
    found = retrieve(engine, QUESTION, EVERYTHING)
    ids = [hit.version_id for hit in found.documents]
    explained = explain_documents(engine, QUESTION, EVERYTHING, ids, index=found.index)

    assert set(explained) == set(ids)
    best = {hit.name: hit for hit in explained[policies["leak"].pk]}
    assert list(best) == [ranking.name for ranking in DEFAULT_PLAN.rankings]
    words = best["words"]
    assert words.place == 1
    assert words.share == 1.0
    assert sum(part.score for part in words.tokens) + words.rest == pytest.approx(words.score, abs=0.01)
    assert words.rest == pytest.approx(0, abs=0.01)
    assert {"漏水", "维修"} <= {part.token for part in words.tokens}


def test_scores_are_those_of_retrieval(engine: SearchEngine) -> None:
    publish_samples()
    found = retrieve(engine, QUESTION, EVERYTHING)
    explained = explain_documents(
        engine, QUESTION, EVERYTHING, [hit.version_id for hit in found.documents], index=found.index
    )
    for hit in found.documents:
        for ranking in explained[hit.version_id]:
            assert ranking.score == pytest.approx(hit.features[ranking.name], abs=0.001)
            assert ranking.share == pytest.approx(hit.features[f"{ranking.name}_share"], abs=0.001)


def test_document_that_was_not_found_has_nothing_to_explain(engine: SearchEngine) -> None:
    policies = publish_samples()
    index = engine.live_index()

    assert explain_documents(engine, "漏水", EVERYTHING, [policies["rent"].pk], index=index)[policies["rent"].pk] == ()
