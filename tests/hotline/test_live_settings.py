"""What is saved as live decides how the desk searches, reranks and doubts."""

from __future__ import annotations

import pytest

from hotline.live_settings import forget_live_values, get_live_settings
from hotline.models import LexicalModelVersion, SavedSettings, User
from hotline.rerankers import load_deployed_model
from hotline.retrieval_settings import RetrievalSettings
from hotline.review_policy import drop_thresholds, rules_for
from hotline.services.live_settings import restore_model
from hotline.services.lookups import start_lookup
from hotline.services.reranking import rerank_waiting_lookups
from reranking.types import Ranking, RerankerInfo
from tests.factories import make_ticket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("policies")]


def save(settings: RetrievalSettings) -> None:
    SavedSettings.objects.create(settings=settings.to_json())
    forget_live_values()


def test_rankings_that_are_searched() -> None:
    save(RetrievalSettings(rankings=("bigrams",)))
    result = start_lookup(question="云岚市加装电梯补贴", by=None).results.first()

    assert result is not None
    assert "bigrams_share" in result.features
    assert "words_share" not in result.features


def test_rewrites_that_are_searched() -> None:
    question = "公租房租金怎么收"
    usual = start_lookup(question=question, by=None)
    save(RetrievalSettings(rewrites="always"))
    every = start_lookup(question=question, by=None)
    save(RetrievalSettings(rewrites="none"))
    none = start_lookup(question=question, by=None)

    assert usual.variants.count() > 1
    assert not every.variants.filter(is_used=False).exists()
    assert not none.variants.filter(ordinal__gt=0, is_used=True).exists()


def test_wordings_that_the_agent_chose_go_before_the_settings() -> None:
    question = "公租房租金怎么收"
    offered = start_lookup(question=question, by=None).variants.filter(ordinal__gt=0).first()
    assert offered is not None
    save(RetrievalSettings(rewrites="none"))

    lookup = start_lookup(question=question, by=None, variant_texts=[offered.text])

    assert lookup.variants.get(text=offered.text).is_used


def test_reranker_that_orders() -> None:
    save(RetrievalSettings(reranker="none"))
    lookup = start_lookup(question="云岚市加装电梯补贴", by=None)

    rerank_waiting_lookups()
    lookup.refresh_from_db()

    assert lookup.reasons == ["reranker_unavailable"]


def rank_by(name: str, revision: str = "r1") -> Ranking:
    return Ranking((), RerankerInfo(name, revision, calibrated=name != "lexical"))


def test_threshold_of_the_line_of_business_goes_before_the_common_one() -> None:
    """It stands for whichever figure sends to review: the first's share, or the gap of a neural reranker."""
    settings = RetrievalSettings(
        first_share_threshold=0.4, gap_base_threshold=0.9, thresholds_by_category={"complaint": 0.7}
    )
    lexical, neural = rank_by("lexical"), rank_by("qwen3")

    found = [rules_for(ranking, settings, "complaint") for ranking in (lexical, neural)]
    assert [(rules.share_threshold, rules.base_threshold) for rules in found] == [(0.7, 0.9), (0.4, 0.7)]
    assert rules_for(lexical, settings).share_threshold == 0.4
    assert rules_for(neural, settings, "regulations").base_threshold == 0.9


def test_thresholds_act_for_the_revision_that_they_belong_to() -> None:
    settings = RetrievalSettings(
        first_share_threshold=0.01,
        gap_base_threshold=0.02,
        thresholds_by_category={"complaint": 0.03},
        thresholds_for="lexical r1",
    )

    assert rules_for(rank_by("lexical"), settings).share_threshold == 0.01
    assert rules_for(rank_by("lexical"), settings, "complaint").share_threshold == 0.03
    for ranking in (rank_by("lexical", "r2"), rank_by("qwen3"), None):
        assert rules_for(ranking, settings, "complaint") == rules_for(ranking)


def test_earlier_coefficients_do_not_keep_the_thresholds_of_later_ones(agent: User) -> None:
    learned = load_deployed_model().to_json()
    LexicalModelVersion.objects.create(revision=learned["revision"], content=learned)
    save(RetrievalSettings(rewrites="none", first_share_threshold=0.3, thresholds_by_category={"complaint": 0.4}))
    restore_model(version=None, by=agent)

    assert get_live_settings() == RetrievalSettings(rewrites="none")
    neural = RetrievalSettings(gap_base_threshold=0.3, thresholds_for="qwen3 r1")
    assert drop_thresholds(neural, "lexical") == neural


@pytest.mark.parametrize(("category", "is_doubtful"), [("complaint", True), ("regulations", False)])
def test_lookup_is_doubted_by_its_tickets_line_of_business(category: str, is_doubtful: bool) -> None:
    save(RetrievalSettings(first_share_threshold=0.0, thresholds_by_category={"complaint": 1.0}))
    lookup = start_lookup(question="云岚市办法第一条", by=None, ticket=make_ticket(category=category))

    rerank_waiting_lookups()
    lookup.refresh_from_db()

    assert lookup.results.count() > 1
    assert ("low_first_share" in lookup.reasons) is is_doubtful
