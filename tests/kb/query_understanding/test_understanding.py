import json
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.query_understanding import Rules, load_default_rules, understand
from kb.query_understanding.focus import MOST_CHARACTERS, SHORT_ENOUGH
from kb.query_understanding.meaning import read_meaning
from kb.query_understanding.rules import Place, Term

RULES = load_default_rules()
COMPLAINT = (
    "尊敬的领导您好。我住在望江区已经八年了，平时工作很忙，对小区的事情从来没有多说过什么。去年夏天搬来了一户新邻居，人倒是很客气。"
    "今年三月开始，楼上天天漏水，卫生间顶板都泡坏了。物业来看过两次，说要等，之后就没有消息了。"
    "请问住宅专项维修资金能不能用来维修共用部位的渗漏？百忙之中打扰了，谢谢领导。"
)


def count_characters(bigrams):
    return {bigram: float(len(bigram)) for bigram in bigrams}


spoken = st.sampled_from([row.text for row in (*RULES.spoken, *RULES.abbreviations, *RULES.question_forms)])
words = st.sampled_from(
    [
        *"，。？！；、：\n 不没未无别",
        *[
            "3天",
            "20万元",
            "2026年3月1日",
            "百分之五",
            "第十二条",
            "两个月",
            "12345",
            "5%",
            "三十",
            "不能",
            "没有",
            "能不能",
            "有没有",
        ],
        *["请问", "你好", "谢谢", "那个", "我我我", "漏水漏水", "居住证", "公基金", "電梯", "Ａ１", "😀", "望江区"],
    ]
)
questions = st.lists(st.one_of(spoken, words, st.text(max_size=4)), max_size=25).map("".join)


@given(questions)
@settings(max_examples=400, deadline=None)
def test_cleaning_and_rewrites_keep_negations_numbers_and_dates(question):
    understanding = understand(question, RULES)
    meant = read_meaning(understanding.cleaned)
    for variant in understanding.variants:
        if variant.kind != "focus":
            assert read_meaning(variant.text) == meant
    digits = re.findall("[0-9]+", understanding.cleaned)
    assert digits == re.findall("[0-9]+", _to_half_width(question))


@given(questions)
@settings(max_examples=300, deadline=None)
def test_everything_points_into_its_text(question):
    understanding = understand(question, RULES, rarity=count_characters)
    assert all(0 <= step.start <= step.end <= len(question) for step in understanding.steps)
    for found in (*understanding.terms, *understanding.place_names):
        word = getattr(found, "text", None) or found.name
        assert understanding.cleaned[found.start : found.end] == word
    for sentence in understanding.question_sentences:
        assert understanding.cleaned[sentence.start : sentence.end].strip() == sentence.text
    assert all(a.end <= b.start for a, b in pairwise(understanding.question_sentences))


@given(st.text(max_size=300))
@settings(deadline=None)
def test_any_text_is_understood_and_never_lost(question):
    understanding = understand(question, RULES)
    assert understanding.original == question
    assert bool(understanding.cleaned.strip()) or not any(c.isalnum() for c in question)


@given(questions)
@settings(max_examples=100, deadline=None)
def test_understanding_is_repeatable_and_removable(question):
    assert understand(question, RULES) == understand(question, RULES)
    kinds = {step.kind for step in understand(question, RULES).steps}
    bare = understand(question, RULES, without=kinds)
    assert bare.cleaned == question or not (kinds & {step.kind for step in bare.steps})


def test_terms_carry_their_category():
    found = understand("公积金贷款和居住证", RULES).terms
    assert ("公积金贷款", "住房与物业") in [(term.text, term.category) for term in found]


def test_places_carry_their_level_and_what_is_above():
    rules = Rules.build(
        places=[Place("云岚市", "city"), Place("望江区", "district", "云岚市"), Place("临江街道", "street", "望江区")]
    )
    (place,) = understand("临江街道怎么走", rules).place_names
    assert (place.level, place.ancestors) == ("street", ("望江区", "云岚市"))


def test_places_that_refer_to_each_other_do_not_run_in_circles():
    rules = Rules.build(places=[Place("甲市", "city", "乙区"), Place("乙区", "district", "甲市")])
    assert understand("甲市", rules).place_names[0].ancestors == ("乙区", "甲市")


def test_a_long_complaint_is_brought_to_its_question():
    understanding = understand(COMPLAINT, RULES)
    assert any("住宅专项维修资金" in sentence.text for sentence in understanding.question_sentences)
    assert not any("邻居" in sentence.text for sentence in understanding.question_sentences)
    focus = next(variant.text for variant in understanding.variants if variant.kind == "focus")
    assert "渗漏" in focus
    assert len(focus) < len(COMPLAINT) / 2


def test_rare_sentences_weigh_more():
    common, rare = "小区环境需要大家一起爱护。" + "我们每天都从这里经过上班。", "既有住宅加装电梯的日照间距不够。"
    text = (
        f"{common}这条路晚上也没有灯光照明。{rare}"
        + "邻居相处得也很好，花坛里开了小花。老人们早上都出来散步，孩子们放学后在空地玩耍。"
    )
    found = understand(text, Rules(), rarity=lambda bigrams: {bigram: 9.0 for bigram in bigrams if bigram in rare})
    heaviest = max(found.question_sentences, key=lambda sentence: sentence.weight)
    assert heaviest.text == rare


def test_a_short_question_has_no_focus():
    understanding = understand("居住证怎么办理？需要多久？" * 2, RULES)
    assert len(understanding.cleaned) <= SHORT_ENOUGH
    assert understanding.question_sentences == ()


@given(st.lists(st.sampled_from(["小区漏水没人管", "希望解决", "。", "，", "？", "怎么办"]), min_size=40, max_size=200))
@settings(deadline=None, max_examples=50)
def test_the_focus_stays_short(parts):
    sentences = understand("".join(parts), RULES).question_sentences
    assert len(sentences) <= 1 or sum(len(sentence.text) for sentence in sentences) <= MOST_CHARACTERS


def test_the_versions_of_the_dictionaries_are_recorded():
    rules = Rules.build(terms=[Term("公积金")])
    assert understand("公积金", rules).versions == rules.versions


def test_understanding_is_fast():
    understand(COMPLAINT, RULES)
    short, long = "我家楼上漏水，物业一直不管，请问一下该找哪个部门投诉呢？", (COMPLAINT * 8)[:1000]
    assert min(_milliseconds(short) for _ in range(5)) < 5
    assert min(_milliseconds(long) for _ in range(5)) < 30


@pytest.mark.evaluation
def test_letters_are_brought_to_sentences_of_their_own(evaluation_dir: Path):
    lines = (evaluation_dir / "letters_sample.jsonl").read_text(encoding="utf-8").split("\n")
    letters = [json.loads(line)["detail"] for line in lines if line]
    understood = [understand(letter, RULES) for letter in letters]
    long = [u for u in understood if len(u.cleaned) > SHORT_ENOUGH]
    assert len(long) > 100
    assert all(0 < len(u.question_sentences) <= 3 for u in long)
    assert all(read_meaning(u.cleaned).numbers for u in understood if re.search("[0-9]{2}元", u.original))


def _milliseconds(question: str) -> float:
    began = time.perf_counter()
    understand(question, RULES)
    return 1000 * (time.perf_counter() - began)


def _to_half_width(text: str) -> str:
    return text.translate({code: code - 0xFEE0 for code in range(0xFF10, 0xFF1A)})
