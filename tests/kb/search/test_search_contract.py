"""What every engine keeps to: run on the embedded engine and on Elasticsearch."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest

from kb.search.embedded import EmbeddedEngine
from kb.search.entries import INDEX_FORMAT
from kb.search.types import (
    FieldQuery,
    IndexedVersion,
    IndexInUse,
    IndexMissing,
    PassageHit,
    SearchEngine,
    SearchFilter,
)
from kb.segmentation import SegmentationDictionary
from tests.kb.search.samples import SAMPLE, EngineMaker, make_elastic_engines, make_version

ANY = SearchFilter()


def find(engine: SearchEngine, text: str, search_filter: SearchFilter = ANY, *, index: str = "") -> list[PassageHit]:
    """Passages by their bigrams."""
    index = index or engine.live_index()
    tokens = engine.segmenter(index).analyze(text).bigrams
    return engine.search_many(index, [FieldQuery("bigrams", tokens)], search_filter, limit=50)[0]


def list_versions(hits: list[PassageHit]) -> list[int]:
    return list(dict.fromkeys(hit.version_id for hit in hits))


def test_best_passage_comes_first_with_its_ids(filled: SearchEngine) -> None:
    first = find(filled, "加装电梯补贴多少")[0]
    assert (first.passage_id, first.version_id, first.document_id) == (100, 1, 1001)
    assert first.score > 0


def test_title_is_searched_with_every_passage(filled: SearchEngine) -> None:
    assert {hit.passage_id for hit in find(filled, "第3号")} >= {300, 301}


def test_every_field_is_searched_and_answers_come_in_the_order_of_the_queries(filled: SearchEngine) -> None:
    analysis = filled.segmenter("first").analyze("一老一小")
    queries = [
        FieldQuery("words", ("一老一小",)),
        FieldQuery("bigrams", analysis.bigrams),
        FieldQuery("version_bigrams", analysis.bigrams),
        FieldQuery("unigrams", ("梯",)),
        FieldQuery("skip_bigrams", analysis.skip_bigrams),
        FieldQuery("words", ("没有这个词",)),
        FieldQuery("words", ()),
    ]
    answers = filled.search_many("first", queries, ANY, limit=5)
    assert [[hit.passage_id for hit in hits[:1]] for hits in answers] == [[400], [400], [0], [101], [400], [], []]
    assert answers[2][0].version_id == 4


def test_passages_that_hold_a_bigram_are_counted(filled: SearchEngine) -> None:
    passages, containing = filled.count_bigrams("first", ["漏水", "电梯", "魑魅"])
    assert passages == filled.count("first").passages
    assert containing == {"漏水": len(find(filled, "漏水")), "电梯": len(find(filled, "电梯"))}
    assert filled.count_bigrams("first", []).containing == {}
    with pytest.raises(IndexMissing):
        filled.count_bigrams("nowhere", ["漏水"])


def test_limit_is_kept(filled: SearchEngine) -> None:
    assert len(filled.search_many("first", [FieldQuery("bigrams", ("漏水",))], ANY, limit=2)[0]) == 2


def test_document_number_is_found_in_the_whole_version(filled: SearchEngine) -> None:
    filled.add("first", [make_version(9, "附则。", document_number="云府办规〔2025〕8号")])
    tokens = filled.segmenter("first").analyze("云府办规〔2025〕8号").bigrams
    [hits] = filled.search_many("first", [FieldQuery("version_bigrams", tokens)], ANY, limit=1)
    assert hits[0].version_id == 9


def test_query_text_is_never_syntax(filled: SearchEngine) -> None:
    for token in ('bigrams:"漏水', "* OR *", "漏水~2", "a/b", "\\", "😀", "漏水" * 200):
        assert filled.search_many("first", [FieldQuery("bigrams", (token,))], ANY, limit=5) == [[]]


def test_very_long_query_is_answered(filled: SearchEngine) -> None:
    text = "".join(chr(0x4E00 + number) for number in range(3000))
    assert find(filled, f"漏水维修{text}")[0].score > 0


def test_repeated_token_weighs_twice(filled: SearchEngine) -> None:
    once, twice = filled.search_many(
        "first", [FieldQuery("bigrams", ("漏水",)), FieldQuery("bigrams", ("漏水", "漏水"))], ANY, limit=1
    )
    assert twice[0].score == pytest.approx(2 * once[0].score, rel=1e-5)


@pytest.mark.parametrize(
    ("search_filter", "expected"),
    [
        (ANY, {1, 2, 3, 4, 5, 6}),
        (SearchFilter(regions=("云岚市",)), {1, 4}),
        (SearchFilter(regions=("云岚市", "东湖区")), {1, 2, 4}),
        (SearchFilter(levels=("district",)), {2}),
        (SearchFilter(categories=("物业",)), {2, 3}),
        (SearchFilter(departments=()), {1, 2, 3, 6}),
        (SearchFilter(departments=("minzheng",)), {1, 2, 3, 4, 6}),
        (SearchFilter(departments=("chengguan", "minzheng")), {1, 2, 3, 4, 5, 6}),
        (SearchFilter(as_of=date.fromordinal(738999)), {1, 2, 3, 4, 6}),
        (SearchFilter(as_of=date.fromordinal(739000)), {1, 2, 3, 4, 5}),
        (SearchFilter(as_of=date.fromordinal(729999)), {1, 2, 3, 4}),
        (SearchFilter(as_of=date.min), {1, 2, 3, 4}),
        (SearchFilter(as_of=date.max), {1, 2, 3, 4, 5}),
        (SearchFilter(as_of=date.fromordinal(739000), categories=("物业",), regions=("东湖区",), departments=()), {2}),
        (SearchFilter(regions=("没有这个地区",)), set()),
    ],
)
def test_filter_leaves_what_it_allows(filled: SearchEngine, search_filter: SearchFilter, expected: set[int]) -> None:
    assert set(list_versions(find(filled, "云岚市办法漏水电梯维修", search_filter))) == expected
    tokens = filled.segmenter("first").analyze("云岚市办法").bigrams
    [hits] = filled.search_many("first", [FieldQuery("version_bigrams", tokens)], search_filter, limit=50)
    assert set(list_versions(hits)) == expected


def test_filter_changes_neither_order_nor_scores(filled: SearchEngine) -> None:
    plain = find(filled, "云岚市漏水维修资金")
    search_filter = SearchFilter(as_of=date.fromordinal(739000), departments=("minzheng",))
    allowed = {1, 2, 3, 4}
    filtered = find(filled, "云岚市漏水维修资金", search_filter)
    expected = [hit for hit in plain if hit.version_id in allowed]
    assert [hit[:3] for hit in filtered] == [hit[:3] for hit in expected]
    assert [hit.score for hit in filtered] == pytest.approx([hit.score for hit in expected], rel=1e-5)


def test_adding_again_replaces(filled: SearchEngine) -> None:
    before = find(filled, "漏水维修")
    assert filled.add("first", SAMPLE) == len(SAMPLE)
    assert filled.count("first").passages == sum(len(version.passages) for version in SAMPLE)
    assert filled.count("first").versions == len(SAMPLE)
    assert sorted(hit[:3] for hit in find(filled, "漏水维修")) == sorted(hit[:3] for hit in before)


def test_replaced_version_loses_passages_that_it_no_longer_has(filled: SearchEngine) -> None:
    filled.add("first", [make_version(3, "改为使用公共收益。")])
    assert [hit.passage_id for hit in find(filled, "公共收益")] == [300]
    assert 3 not in list_versions(find(filled, "渗漏大会"))
    assert IndexedVersion(3, "3-1", 1) in list(filled.scan_fingerprints("first"))


def test_changed_filter_values_take_effect(filled: SearchEngine) -> None:
    filled.add("first", [replace(SAMPLE[1], in_force_until=739000)])
    assert 2 not in list_versions(find(filled, "漏水", SearchFilter(as_of=date.fromordinal(739000))))
    assert 2 in list_versions(find(filled, "漏水", SearchFilter(as_of=date.fromordinal(738999))))


def test_deleted_versions_are_gone_and_unknown_ones_ignored(filled: SearchEngine) -> None:
    filled.delete_versions("first", [1, 3, 99])
    filled.delete_versions("first", [1])
    filled.delete_versions("first", [])
    assert set(list_versions(find(filled, "云岚市办法漏水电梯维修"))) == {2, 4, 5, 6}
    assert filled.count("first").versions == 4
    assert [item.version_id for item in filled.scan_fingerprints("first")] == [2, 4, 5, 6]


def test_version_without_passages_is_indexed_as_a_whole(filled: SearchEngine) -> None:
    filled.add("first", [make_version(8)])
    assert IndexedVersion(8, "8-0", 0) in list(filled.scan_fingerprints("first"))


def test_scan_gives_every_version_in_order(filled: SearchEngine) -> None:
    assert list(filled.scan_fingerprints("first")) == [
        IndexedVersion(version.version_id, version.fingerprint, len(version.passages)) for version in SAMPLE
    ]


def test_scan_goes_beyond_one_page(engine: SearchEngine, dictionary: SegmentationDictionary) -> None:
    engine.create_index("many", dictionary)
    assert engine.add("many", (make_version(number, "条") for number in range(1, 1206))) == 1205
    assert [item.version_id for item in engine.scan_fingerprints("many")] == list(range(1, 1206))
    engine.delete_versions("many", range(1, 1205))
    assert engine.count("many").versions == engine.count("many").passages == 1


def test_empty_index_answers_with_nothing(engine: SearchEngine, dictionary: SegmentationDictionary) -> None:
    engine.create_index("empty", dictionary)
    assert find(engine, "漏水", index="empty") == []
    assert list(engine.scan_fingerprints("empty")) == []
    assert engine.count("empty").passages == 0


def test_index_keeps_the_dictionary_it_was_made_with(filled: SearchEngine, make_engine: EngineMaker) -> None:
    other = SegmentationDictionary.build(["维修资金由业主"])
    filled.create_index("second", other)
    reader = make_engine()
    assert reader.segmenter("second").dictionary == other
    assert reader.segmenter("first").dictionary != other
    assert "一老一小" in reader.segmenter("first").cut_words("一老一小")


def test_index_of_another_format_is_not_used(
    filled: SearchEngine, make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"kb.search.{type(filled).__module__.rpartition('.')[2]}.INDEX_FORMAT", INDEX_FORMAT + 1)
    with pytest.raises(IndexMissing, match="built by another version"):
        make_engine().segmenter("first")


def test_writers_at_the_same_time_lose_nothing(filled: SearchEngine, make_engine: EngineMaker) -> None:
    def write(first: int) -> int:
        versions = [make_version(number, "同时写入的条款。") for number in range(first, first + 30)]
        return make_engine().add("first", versions)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(write, (100, 200, 300))) == [30, 30, 30]
    assert filled.count("first").versions == len(SAMPLE) + 90


def test_swap_goes_live_for_every_process_and_back_again(filled: SearchEngine, make_engine: EngineMaker) -> None:
    reader = make_engine()
    filled.create_index("second", SegmentationDictionary())
    filled.add("second", [make_version(7, "漏水新规。")])
    assert 7 not in list_versions(find(reader, "漏水"))
    assert filled.swap_alias("second") == "first"
    assert list_versions(find(reader, "漏水")) == [7]
    assert filled.swap_alias("first") == "second"
    assert 7 not in list_versions(find(reader, "漏水"))
    assert [(info.name, info.is_live) for info in reader.list_indexes()] == [("first", True), ("second", False)]


def test_swapping_to_the_live_index_changes_nothing(filled: SearchEngine) -> None:
    assert filled.swap_alias("first") == "first"
    assert filled.live_index() == "first"


def test_what_one_process_writes_the_next_search_of_another_sees(
    filled: SearchEngine, make_engine: EngineMaker
) -> None:
    reader = make_engine()
    assert find(reader, "新规") == []
    filled.add("first", [make_version(7, "漏水新规。")])
    assert list_versions(find(reader, "新规")) == [7]
    filled.delete_versions("first", [7])
    assert find(reader, "新规") == []


def test_live_index_cannot_be_dropped_and_another_can(filled: SearchEngine) -> None:
    filled.create_index("second", SegmentationDictionary())
    with pytest.raises(IndexInUse):
        filled.drop_index("first")
    filled.drop_index("second")
    filled.drop_index("second")
    assert [info.name for info in filled.list_indexes()] == ["first"]
    assert find(filled, "漏水")


def test_index_made_anew_under_its_name_starts_empty_with_its_own_dictionary(engine: SearchEngine) -> None:
    engine.create_index("again", SegmentationDictionary.build(["甲乙丙丁"]))
    engine.add("again", SAMPLE)
    engine.drop_index("again")
    engine.create_index("again", SegmentationDictionary())
    assert engine.count("again").versions == 0
    assert engine.segmenter("again").dictionary == SegmentationDictionary()


def test_existing_index_is_not_overwritten(filled: SearchEngine, dictionary: SegmentationDictionary) -> None:
    with pytest.raises(IndexInUse):
        filled.create_index("first", dictionary)
    assert filled.count("first").versions == len(SAMPLE)


def test_missing_index_is_named_so(engine: SearchEngine) -> None:
    with pytest.raises(IndexMissing):
        engine.live_index()
    with pytest.raises(IndexMissing):
        engine.segmenter("nowhere")
    with pytest.raises(IndexMissing):
        engine.search_many("nowhere", [FieldQuery("bigrams", ("漏水",))], ANY, limit=5)
    with pytest.raises(IndexMissing):
        engine.add("nowhere", SAMPLE)
    with pytest.raises(IndexMissing):
        engine.swap_alias("nowhere")
    with pytest.raises(IndexMissing):
        engine.count("nowhere")


def test_health_tells_no_index_from_a_good_one(engine: SearchEngine, dictionary: SegmentationDictionary) -> None:
    assert not engine.health().is_available
    engine.create_index("first", dictionary)
    engine.add("first", SAMPLE)
    engine.swap_alias("first")
    health = engine.health()
    assert health.is_available
    assert "6 个版本" in health.detail


def test_threads_search_while_another_writes(filled: SearchEngine) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                assert find(filled, "加装电梯补贴")[0].passage_id == 100
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20, 30):
        filled.add("first", [make_version(number, "漏水。")])
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert filled.count("first").versions == len(SAMPLE) + 10


@pytest.mark.service
def test_engines_agree_on_order_and_scores(
    elasticsearch_url: str, tmp_path_factory: pytest.TempPathFactory, dictionary: SegmentationDictionary
) -> None:
    maker = make_elastic_engines(elasticsearch_url)
    engines = [EmbeddedEngine(tmp_path_factory.mktemp("agree")), next(maker)()]
    texts = ["漏水维修", "加装电梯补贴多少", "云岚市一老一小办法", "物业维修资金业主大会", "第3号"]
    answers = []
    for engine in engines:
        engine.create_index("same", dictionary)
        engine.add("same", SAMPLE)
        segmenter = engine.segmenter("same")
        queries = []
        for text in texts:
            analysis = segmenter.analyze(text)
            queries += [
                FieldQuery("bigrams", analysis.bigrams),
                FieldQuery("words", analysis.words),
                FieldQuery("unigrams", analysis.unigrams),
                FieldQuery("skip_bigrams", analysis.skip_bigrams),
                FieldQuery("version_bigrams", analysis.bigrams),
            ]
        answers.append(engine.search_many("same", queries, ANY, limit=20))
    next(maker, None)
    assert sum(map(len, answers[0])) > 50
    for embedded, elastic in zip(*answers, strict=True):
        assert [hit[:3] for hit in embedded] == [hit[:3] for hit in elastic]
        assert [hit.score for hit in embedded] == pytest.approx([hit.score for hit in elastic], rel=1e-4)
