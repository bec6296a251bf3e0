"""First-stage retrieval: ranks fused, passages grouped to documents, one version a document."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.rankings import is_weak, sum_passages
from kb.retrieval import (
    DEFAULT_PLAN,
    PASSAGES_A_DOCUMENT,
    DocumentHit,
    FirstStageResult,
    FusionPlan,
    Ranked,
    RankingPlan,
    fuse_rankings,
    retrieve,
)
from kb.search.embedded import EmbeddedEngine
from kb.search.types import FieldQuery, IndexMissing, PassageHit, SearchFilter
from kb.segmentation import load_default_dictionary
from tests.kb.search.samples import SAMPLE, make_version

TODAY = SearchFilter(as_of=date(2026, 1, 1))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedEngine:
    engine = EmbeddedEngine(tmp_path_factory.mktemp("retrieval"))
    engine.create_index("first", load_default_dictionary())
    old = make_version(20, "电动自行车充电设施旧标准。", document_id=500, in_force_until=738000)
    new = make_version(
        21, "电动自行车充电设施应当设在室外。", "充电设施的收费标准。", document_id=500, in_force_from=738000
    )
    long = make_version(30, *[f"养犬登记的第{number}种情形，办理养犬登记。" for number in range(8)])
    engine.add("first", [*SAMPLE, old, new, long])
    engine.swap_alias("first")
    return engine


def list_documents(result: FirstStageResult) -> list[int]:
    return [hit.document_id for hit in result.documents]


def test_search_is_weak_where_its_rankings_disagree_or_the_second_is_near() -> None:
    first, second = [hit(1, 10, 2.0)], [hit(2, 20, 2.0)]
    agreeing = [Ranked("bigrams", 1.0, first), Ranked("words", 1.0, first)]
    assert not is_weak(agreeing, {10: 0.2, 20: 0.1})
    assert is_weak(agreeing, {10: 0.2, 20: 0.19})
    assert is_weak([Ranked("bigrams", 1.0, first), Ranked("words", 1.0, second)], {10: 0.2, 20: 0.1})
    assert is_weak([Ranked("bigrams", 1.0, first), Ranked("words", 1.0, [])], {10: 0.2, 20: 0.1})
    assert is_weak([], {})


def test_several_passages_that_speak_of_the_matter_count_more_than_one() -> None:
    ranking = Ranked("stripped_bigrams", 1.0, [hit(1, 10, 5.0), hit(2, 20, 4.5), hit(3, 20, 4.0)])
    best, other = sum_passages(ranking, name="passage_sum", weight=1.0).hits
    assert (best.version_id, best.score) == (20, pytest.approx(4.5 + 0.3 * 4.0))
    assert (other.version_id, other.passage_id) == (10, 0)


def hit(passage_id: int, version_id: int, score: float, *, document_id: int = 0) -> PassageHit:
    return PassageHit(passage_id, version_id, document_id or version_id, score)


def test_answering_document_comes_first(engine: EmbeddedEngine) -> None:
    result = retrieve(engine, "请问加装电梯能补贴多少钱？", TODAY)
    first = result.documents[0]
    assert (first.document_id, first.version_id, first.rank) == (1001, 1, 1)
    assert first.passages[0].passage_id == 100


def test_ranks_count_from_one_and_scores_never_rise(engine: EmbeddedEngine) -> None:
    documents = retrieve(engine, "云岚市漏水维修办法", TODAY).documents
    assert len(documents) >= 4
    assert [document.rank for document in documents] == list(range(1, len(documents) + 1))
    scores = [document.score for document in documents]
    assert scores == sorted(scores, reverse=True)


def test_document_shows_its_three_best_passages(engine: EmbeddedEngine) -> None:
    [first, *_] = retrieve(engine, "养犬登记的第5种情形", TODAY).documents
    assert first.document_id == 1030
    assert len(first.passages) == PASSAGES_A_DOCUMENT
    assert first.passages[0].passage_id == 3005
    scores = [passage.score for passage in first.passages]
    assert scores == sorted(scores, reverse=True)


def test_limit_is_kept(engine: EmbeddedEngine) -> None:
    assert len(retrieve(engine, "云岚市办法", TODAY, limit=2).documents) == 2


def test_version_in_force_on_the_day_is_found(engine: EmbeddedEngine) -> None:
    query = "电动自行车充电设施标准"
    assert retrieve(engine, query, TODAY).documents[0].version_id == 21
    before = SearchFilter(as_of=date.fromordinal(737999))
    assert retrieve(engine, query, before).documents[0].version_id == 20


def test_without_a_day_a_document_appears_once_in_its_best_version(engine: EmbeddedEngine) -> None:
    result = retrieve(engine, "电动自行车充电设施旧标准", SearchFilter())
    assert list_documents(result).count(500) == 1
    assert result.documents[0].version_id == 20
    assert all(passage.version_id == 20 for passage in result.documents[0].passages)


def test_result_names_index_dictionary_and_times(engine: EmbeddedEngine) -> None:
    result = retrieve(engine, "漏水", TODAY)
    assert result.index == "first"
    assert result.dictionary_sha256 == load_default_dictionary().sha256
    assert result.seconds == pytest.approx(result.analysis_seconds + result.search_seconds + result.fusion_seconds)
    assert result.seconds > 0


@pytest.mark.parametrize("query", ["", "   ", "？！", "魑魅魍魉"])
def test_question_that_matches_nothing_gives_nothing(engine: EmbeddedEngine, query: str) -> None:
    assert retrieve(engine, query, TODAY).documents == ()


def test_filter_reaches_the_engine(engine: EmbeddedEngine) -> None:
    allowed = SearchFilter(as_of=date(2026, 1, 1), departments=())
    assert 1005 in list_documents(retrieve(engine, "内部办法漏水投诉的派单", TODAY))
    assert 1005 not in list_documents(retrieve(engine, "内部办法漏水投诉的派单", allowed))


def test_every_ranking_gives_its_features(engine: EmbeddedEngine) -> None:
    documents = retrieve(engine, "楼上漏水物业怎么办", TODAY).documents
    for name in (*(ranking.name for ranking in DEFAULT_PLAN.rankings), "fused"):
        shares = [document.features[f"{name}_share"] for document in documents]
        assert max(shares) == pytest.approx(1.0)
        assert min(shares) >= 0.0
        assert all(name in document.features for document in documents)
    assert documents[0].features["fused"] == documents[0].score


def test_variant_helps_to_find_and_gives_features_of_its_own(engine: EmbeddedEngine) -> None:
    alone = retrieve(engine, "狗证", TODAY)
    helped = retrieve(engine, "狗证", TODAY, variants=["养犬登记"])
    assert 1030 not in list_documents(alone)
    assert list_documents(helped)[0] == 1030
    assert helped.documents[0].features["bigrams"] == 0.0
    assert helped.documents[0].features["variant_bigrams_share"] == 1.0
    assert helped.variants == ("养犬登记",)
    assert not any(name.startswith("variant_") for name in retrieve(engine, "漏水", TODAY).documents[0].features)


def test_weak_search_is_made_again_with_the_variants(engine: EmbeddedEngine) -> None:
    found = retrieve(engine, "狗证", TODAY, if_weak=["养犬登记"])
    assert list_documents(found)[0] == 1030
    assert found.variants == ("养犬登记",)


def test_strong_search_is_left_alone(engine: EmbeddedEngine) -> None:
    question = "加装电梯"
    found = retrieve(engine, question, TODAY, if_weak=["养犬登记"])
    assert found.variants == ()
    assert found.documents == retrieve(engine, question, TODAY).documents


def test_variant_weighs_less_than_the_question(engine: EmbeddedEngine) -> None:
    result = retrieve(engine, "加装电梯补贴", TODAY, variants=["养犬登记"])
    assert list_documents(result)[:2] == [1001, 1030]


def test_equal_searches_are_made_once(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[FieldQuery] = []
    search_many = engine.search_many

    def record(index: str, queries: Sequence[FieldQuery], *rest: Any, **options: Any) -> list[list[PassageHit]]:
        asked.extend(queries)
        return search_many(index, queries, *rest, **options)

    monkeypatch.setattr(engine, "search_many", record)
    once = retrieve(engine, "加装电梯补贴", TODAY)
    assert len(asked) == len(set(asked)) == len(DEFAULT_PLAN.rankings) - 1
    repeated = retrieve(engine, "加装电梯补贴", TODAY, variants=["加装电梯补贴"])
    assert len(asked) == 2 * (len(DEFAULT_PLAN.rankings) - 1)
    assert list_documents(repeated) == list_documents(once)


def test_named_index_is_asked_and_a_missing_one_named(engine: EmbeddedEngine, tmp_path: Path) -> None:
    assert retrieve(engine, "漏水", TODAY, index="first").index == "first"
    with pytest.raises(IndexMissing):
        retrieve(engine, "漏水", TODAY, index="nowhere")
    with pytest.raises(IndexMissing):
        retrieve(EmbeddedEngine(tmp_path), "漏水", TODAY)


def test_index_dropped_after_a_swap_is_followed_to_the_live_one(tmp_path: Path) -> None:
    class LateReader(EmbeddedEngine):
        """Reads the alias once before the swap, as a process with a remembered alias does."""

        remembered = ["old"]

        def live_index(self) -> str:
            return self.remembered.pop() if self.remembered else super().live_index()

    writer = EmbeddedEngine(tmp_path)
    writer.create_index("new", load_default_dictionary())
    writer.add("new", SAMPLE)
    writer.swap_alias("new")
    assert retrieve(LateReader(tmp_path), "漏水", TODAY).index == "new"


def test_version_found_only_as_a_whole_is_left_out() -> None:
    ranked = [Ranked("bigrams", 1.0, [hit(1, 10, 5.0)]), Ranked("version_bigrams", 1.0, [hit(0, 20, 9.0)])]
    assert [document.version_id for document in fuse_rankings(ranked, rank_offset=20, limit=5)] == [10]


def test_fused_score_is_the_weighed_sum_of_reciprocal_ranks() -> None:
    ranked = [
        Ranked("bigrams", 1.0, [hit(1, 10, 5.0), hit(2, 20, 4.0), hit(3, 10, 3.0)]),
        Ranked("words", 0.5, [hit(2, 20, 7.0)]),
    ]
    best, second = fuse_rankings(ranked, rank_offset=20, limit=5)
    assert (best.version_id, second.version_id) == (20, 10)
    assert best.score == pytest.approx(1 / 22 + 0.5 / 21)
    assert second.score == pytest.approx(1 / 21)
    assert best.features["words"] == 7.0
    assert second.features["words_share"] == 0.0
    assert second.features["bigrams_share"] == 1.0


def test_documents_rank_by_place_among_documents_not_among_passages() -> None:
    many = [hit(number, 10, 50.0 - number) for number in range(1, 20)] + [hit(90, 20, 1.0)]
    _, second = fuse_rankings([Ranked("bigrams", 1.0, many)], rank_offset=20, limit=5)
    assert second.score == pytest.approx(1 / 22)


def test_equal_scores_go_by_id() -> None:
    ranked = [Ranked("bigrams", 1.0, [hit(9, 30, 2.0)]), Ranked("words", 1.0, [hit(8, 20, 2.0)])]
    assert [document.version_id for document in fuse_rankings(ranked, rank_offset=20, limit=5)] == [20, 30]


RANKINGS = st.lists(
    st.tuples(
        st.floats(0.1, 2.0),
        st.lists(st.integers(1, 60), unique=True, max_size=40),
    ),
    min_size=1,
    max_size=5,
)


@given(RANKINGS, st.integers(1, 20))
def test_fusion_keeps_its_promises(rankings: list[tuple[float, list[int]]], limit: int) -> None:
    ranked = [
        Ranked(f"r{place}", weight, [hit(p, p % 13 + 1, 100.0 - n, document_id=p % 7 + 1) for n, p in enumerate(ids)])
        for place, (weight, ids) in enumerate(rankings)
    ]
    found = fuse_rankings(ranked, rank_offset=20, limit=limit)
    documents = {p % 7 + 1 for _, ids in rankings for p in ids if (p % 13 + 1)}
    check_shape(found, limit)
    assert len(found) <= min(limit, len(documents))
    for document in found:
        assert all(passage.version_id == document.version_id for passage in document.passages)
        assert all(0.0 <= document.features[f"r{place}_share"] <= 1.0 for place in range(len(rankings)))


def check_shape(found: tuple[DocumentHit, ...], limit: int) -> None:
    assert len(found) <= limit
    assert len({document.document_id for document in found}) == len(found)
    assert [document.score for document in found] == sorted((document.score for document in found), reverse=True)
    assert all(1 <= len(document.passages) <= PASSAGES_A_DOCUMENT for document in found)


def test_plan_can_be_changed(engine: EmbeddedEngine) -> None:
    words_alone = FusionPlan((RankingPlan("words", "words", lambda query: query.full.words),), depth=3)
    result = retrieve(engine, "养犬登记", TODAY, plan=words_alone)
    assert list_documents(result) == [1030]
    assert set(result.documents[0].features) == {"words", "words_share", "fused", "fused_share"}
