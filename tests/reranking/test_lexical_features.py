"""What the lexical reranker sees of question and candidates."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from kb.segmentation import QueryAnalysis, get_segmenter, load_default_dictionary
from reranking.lexical_features import COVERAGE, FEATURES, FIRST_STAGE, analyze_plainly, list_features
from reranking.types import Candidate

QUESTION = "请问公共租赁住房怎么申请？"
HOUSING = Candidate(
    "housing",
    "云岚市公共租赁住房管理办法",
    "申请公共租赁住房，应当向街道办事处提交材料。",
    passages=("申请公共租赁住房，应当向街道办事处提交材料。", "租金按季度缴纳。"),
    features={"stripped_bigrams_share": 1.0, "fused_share": 1.0},
    document_text="第一条 为规范管理。\n申请公共租赁住房，应当向街道办事处提交材料。\n租金按季度缴纳。",
)
PARKING = Candidate("parking", "云岚市停车管理办法", "停车场应当公示收费标准。", features={"fused_share": 0.4})


def analyze(text: str) -> QueryAnalysis:
    return get_segmenter(load_default_dictionary()).analyze_query(text)


def describe(question: str, *candidates: Candidate) -> list[dict[str, float]]:
    return [dict(zip(FEATURES, row, strict=True)) for row in list_features(question, candidates, analyze)]


def test_each_candidate_gets_a_figure_for_every_feature() -> None:
    rows = list_features(QUESTION, [HOUSING, PARKING], analyze)

    assert [len(row) for row in rows] == [len(FEATURES)] * 2
    assert all(0.0 <= value <= 1.0 for row in rows for value in row)


def test_no_candidates_give_no_rows() -> None:
    assert list_features(QUESTION, [], analyze) == []


def test_first_stage_figures_are_taken_over_and_missing_ones_are_zero() -> None:
    housing, parking = describe(QUESTION, HOUSING, PARKING)

    assert housing["stripped_bigrams_share"] == 1.0
    assert parking["fused_share"] == 0.4
    assert parking["words_share"] == 0.0


def test_figure_that_is_no_number_counts_as_missing() -> None:
    (row,) = describe(QUESTION, replace(HOUSING, features={"fused_share": math.nan, "words_share": 0.5}))

    assert (row["fused_share"], row["words_share"]) == (0.0, 0.5)


def test_right_document_covers_more_in_every_respect() -> None:
    housing, parking = describe(QUESTION, HOUSING, PARKING)

    assert all(housing[name] > parking[name] for name in ("document_bigrams", "sentence_words", "title_asked_rare"))
    assert all(housing[name] >= parking[name] for name in COVERAGE)


def test_question_words_are_not_asked_of_the_texts() -> None:
    (row,) = describe("请问停车怎么办", replace(PARKING, text="停车", document_text="停车"))

    assert row["document_bigrams"] == 1.0


def test_whole_document_counts_beyond_the_best_passages() -> None:
    short = replace(HOUSING, text="租金按季度缴纳。", passages=("租金按季度缴纳。",), title="管理办法")

    (row,) = describe(QUESTION, short)

    assert row["document_bigrams"] > row["passages_bigrams"]


def test_without_the_whole_document_the_passages_stand_for_it() -> None:
    (row,) = describe(QUESTION, replace(HOUSING, document_text="", title=""))

    assert row["document_bigrams"] == row["passages_bigrams"]


def test_sentences_are_judged_one_by_one() -> None:
    apart = replace(HOUSING, passages=("公共租赁住房。办事指南在此。申请材料。",), document_text="")

    (row,) = describe(QUESTION, apart)

    assert row["sentence_bigrams"] < row["passages_bigrams"]
    assert row["three_sentences_bigrams"] <= row["sentence_bigrams"] <= row["sentence_pair_bigrams"]


def test_lead_is_the_title_and_the_beginning_of_the_document() -> None:
    begins = replace(HOUSING, title="管理办法", document_text=HOUSING.text + "租金按季度缴纳。" * 30)
    ends = replace(begins, document_text="租金按季度缴纳。" * 30 + HOUSING.text)
    titled = replace(ends, title=HOUSING.title)

    begun, ended, said = describe(QUESTION, begins, ends, titled)

    assert begun["lead_bigrams"] == 1.0
    assert ended["lead_bigrams"] == 0.0
    assert ended["lead_bigrams"] < said["lead_bigrams"] < 1.0


def test_sentence_need_not_repeat_what_the_title_says() -> None:
    said = replace(HOUSING, title="公共租赁住房管理办法", passages=("申请应当向街道办事处提交材料。",))

    (row,) = describe(QUESTION, said)

    assert row["sentence_bigrams"] < row["titled_sentence_bigrams"]
    assert describe(QUESTION, replace(said, title=""))[0]["titled_sentence_bigrams"] == row["sentence_bigrams"]


ARTICLES = "\n".join(f"第{number}条 本条规定第{number}项事宜。" for number in "一二三四五")


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (replace(HOUSING, document_text=ARTICLES), 1.0),
        (replace(HOUSING, document_text=ARTICLES.replace("第五条 ", "")), 0.0),
        (replace(HOUSING, document_text=ARTICLES.replace("\n", "")), 0.0),
        (replace(HOUSING, document_text="", passages=("第十二条 承租人应当按时缴纳租金。",)), 1.0),
        (replace(HOUSING, document_text="", passages=("依照第十二条办理。",)), 0.0),
    ],
)
def test_statute_is_written_in_numbered_articles(candidate: Candidate, expected: float) -> None:
    (row,) = describe(QUESTION, candidate)

    assert row["statute"] == expected


def test_share_of_statutes_is_that_of_the_first_three_in_any_order() -> None:
    shares = {"a": 1.0, "b": 0.9, "c": 0.8, "d": 0.7}
    candidates = [
        replace(HOUSING, id=name, features={"fused_share": share}, document_text=ARTICLES if name in "ad" else "通知")
        for name, share in shares.items()
    ]

    assert {row["statutes_first"] for row in describe(QUESTION, *candidates)} == {1 / 3}
    assert {row["statutes_first"] for row in describe(QUESTION, *reversed(candidates))} == {1 / 3}


def test_words_that_all_titles_share_weigh_less() -> None:
    titles = ["云岚市物业管理条例", "云岚市停车管理条例", "云岚市供水管理条例", "云岚市燃气管理条例"]
    candidates = [replace(PARKING, id=title, title=title) for title in titles]

    property_rules, parking, *_ = describe("云岚市物业管理条例的罚款", *candidates)

    assert property_rules["title_asked_rare"] > property_rules["title_asked"] - 1e-9
    assert parking["title_asked_rare"] < parking["title_asked"]


def test_terms_that_few_candidates_hold_weigh_more_in_the_whole_document() -> None:
    texts = ["物业收费标准公示", "物业管理用房", "物业服务合同", "物业维修资金"]
    candidates = [replace(PARKING, id=text, text=text, document_text=text) for text in texts]

    fees, rooms, *_ = describe("物业收费", *candidates)

    assert fees["document_rare_bigrams"] == fees["document_bigrams"] == 1.0
    assert rooms["document_rare_bigrams"] < rooms["document_bigrams"]


def test_full_width_and_case_make_no_difference() -> None:
    plain = replace(PARKING, title="POS机管理办法", text="pos机每月费用100元。", document_text="pos机每月费用100元。")
    wide = replace(
        plain, title="ＰＯＳ机管理办法", text="ＰＯＳ机每月费用１００元。", document_text="ＰＯＳ机每月费用１００元。"
    )

    assert describe("POS机费用100元", plain) == describe("ＰＯＳ机费用１００元", wide)


def test_documents_without_first_stage_figures_are_scored_among_themselves() -> None:
    housing, parking = describe(QUESTION, replace(HOUSING, features={}), replace(PARKING, features={}))

    assert all(housing[name] == 1.0 for name in FIRST_STAGE)
    assert all(parking[name] < 1.0 for name in FIRST_STAGE)


@pytest.mark.parametrize("question", ["", "？", "吗", "\u200b", "a", "漏"])
def test_questions_of_nearly_nothing_have_features(question: str) -> None:
    rows = list_features(question, [HOUSING, PARKING, Candidate("empty", "", "")], analyze)

    assert all(0.0 <= value <= 1.0 for row in rows for value in row)


def test_plain_analysis_needs_no_dictionary() -> None:
    tokens = analyze_plainly("ＡＢ公租房")

    assert tokens.stripped.bigrams == ("ab", "b公", "公租", "租房")
    assert tokens.full.words == tokens.full.bigrams
