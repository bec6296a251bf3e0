import csv

import pytest

from kb.query_understanding import RuleError, Rules, load_default_rules
from kb.query_understanding.meaning import read_meaning
from kb.query_understanding.rules import (
    DATA_FOLDER,
    Filler,
    Matcher,
    Place,
    Rewording,
    Synonym,
    Term,
    read_rows,
)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"fillers": [Filler("")]}, "是空的"),
        ({"fillers": [Filler("不要")]}, "含有否定或数字"),
        ({"fillers": [Filler("3天")]}, "含有否定或数字"),
        ({"fillers": [Filler("请问", "somewhere")]}, "位置"),
        ({"spoken": [Rewording("漏水", "漏水")]}, "相同"),
        ({"spoken": [Rewording("不给办", "办理")]}, "否定或数字不同"),
        ({"spoken": [Rewording("能办", "不能办")]}, "否定或数字不同"),
        ({"abbreviations": [Rewording("两会", "3个会")]}, "否定或数字不同"),
        ({"synonyms": [Synonym("落户", "落户")]}, "没有另一种说法"),
        ({"synonyms": [Synonym("落户", "入户", 1.5)]}, "权重"),
        ({"synonyms": [Synonym("受理", "不受理")]}, "否定或数字不同"),
        ({"places": [Place("云岚市", "planet")]}, "级别"),
    ],
)
def test_build_refuses_a_row_that_cannot_be_used(rows, message):
    with pytest.raises(RuleError, match=message):
        Rules.build(**rows)


def test_build_accepts_a_negation_that_stays_one():
    assert Rules.build(spoken=[Rewording("不给办", "不予办理")]).official_of == {"不给办": "不予办理"}


def test_versions_tell_which_dictionary_changed():
    before = Rules.build(terms=[Term("公积金")], spoken=[Rewording("漏水", "渗漏")])
    after = Rules.build(terms=[Term("公积金")], spoken=[Rewording("漏水", "渗水")])
    assert before.versions["terms"] == after.versions["terms"]
    assert before.versions["spoken"] != after.versions["spoken"]
    assert before.versions == Rules.build(terms=[Term("公积金")], spoken=[Rewording("漏水", "渗漏")]).versions


def test_synonyms_come_heaviest_first_and_go_back_only_where_they_may():
    rules = Rules.build(
        synonyms=[Synonym("甲词", "乙词", 0.6), Synonym("甲词", "丙词", 0.9), Synonym("丁词", "甲词", 0.7, True)]
    )
    assert rules.synonyms_of == {"甲词": (("丙词", 0.9), ("丁词", 0.7), ("乙词", 0.6)), "丁词": (("甲词", 0.7),)}


def test_matcher_finds_the_longest_word_from_the_left():
    matcher = Matcher(["社保", "社保卡", "卡号"])
    assert [(match.start, match.end, match.word) for match in matcher.find("办社保卡号")] == [(1, 4, "社保卡")]


def test_matcher_counts_characters_beyond_the_basic_plane_as_one():
    assert [match.start for match in Matcher(["社保"]).find("😀𠮷社保")] == [2]


def test_matcher_without_words_finds_nothing():
    assert Matcher([]).find("社保") == []


def test_read_rows_reads_weights_and_directions(tmp_path):
    path = tmp_path / "synonyms.csv"
    path.write_text("term,other,weight,both\n落户,入户,0.9,1\n退休,退休手续,,\n", encoding="utf-8")
    assert list(read_rows(path, Synonym)) == [Synonym("落户", "入户", 0.9, True), Synonym("退休", "退休手续")]


def test_read_rows_names_a_value_that_cannot_be_read(tmp_path):
    path = tmp_path / "synonyms.csv"
    path.write_text("term,other,weight\n落户,入户,很高\n", encoding="utf-8")
    with pytest.raises(RuleError, match="落户"):
        list(read_rows(path, Synonym))


def test_default_rules_hold_several_hundred_rows_each():
    rules = load_default_rules()
    assert len(rules.spoken) > 800
    assert len(rules.abbreviations) > 400
    assert len(rules.question_forms) > 200
    assert len(rules.synonyms) > 200
    assert len(rules.fillers) > 250
    assert len(rules.terms) > 500


@pytest.mark.parametrize("path", sorted(DATA_FOLDER.glob("*.csv")), ids=lambda path: path.stem)
def test_default_files_name_everything_once(path):
    with path.open(encoding="utf-8", newline="") as file:
        rows = [tuple(row)[:2] if path.stem == "synonyms" else row[0] for row in csv.reader(file)]
    assert len(rows) == len(set(rows))


def test_default_rewordings_keep_the_meaning():
    rules = load_default_rules()
    for row in (*rules.spoken, *rules.abbreviations):
        assert read_meaning(row.text) == read_meaning(row.official), row


def test_default_places_hang_together():
    rules = load_default_rules()
    assert all(place.parent in rules.place_of for place in rules.places if place.parent)
    assert rules.place_of["望江区"].parent == "云岚市"
