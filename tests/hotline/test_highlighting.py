import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.highlighting import MAX_SENTENCE, WEIGHTS, highlight, highlight_parts, question_features, split_sentences

POLICY = (
    "云岚市既有住宅加装电梯办法\n"
    "第三条 申请人应当是房屋所有权人。\n"
    "第八条 财政对加装电梯给予补贴，每台补贴20万元；楼层超过七层的，每增加一层增加1万元。\n"
    "第九条 申请补贴需要提交下列材料：身份证明、不动产权证书、业主签名的书面协议、施工图审查合格书。\n"
    "本办法自2026年3月1日起施行。"
)
pieces = st.sampled_from(
    ["电梯", "补贴", "多少钱", "。", "！", "？", "；", "\n", "\r\n", "，", " ", "　", "A１", "😀", "İ", "第", "x" * 130]
)
policy_like = st.lists(pieces, max_size=80).map("".join)
any_text = st.one_of(st.text(max_size=400), policy_like)


def best(question: str, text: str = POLICY, **options) -> str:
    found = next(h for h in highlight(question, text, **options) if h.rank == 1)
    return text[found.start : found.end]


def test_split_sentences_ends_at_stops_and_line_breaks():
    text = "甲。乙！丙？丁；戊\n己\r\n庚"
    assert [text[a:b] for a, b in split_sentences(text)] == ["甲。", "乙！", "丙？", "丁；", "戊", "己", "庚"]


def test_split_sentences_without_text_is_empty():
    assert split_sentences("") == split_sentences(" \n　\n ") == []


def test_split_sentences_keeps_repeated_stops_together():
    assert [b - a for a, b in split_sentences("真的吗？？！好。")] == [6, 2]


def test_split_sentences_cuts_a_long_sentence_at_120_characters():
    assert split_sentences("字" * 250) == [(0, 120), (120, 240), (240, 250)]


def test_split_sentences_prefers_to_cut_a_long_sentence_at_a_comma():
    text = "字" * 100 + "，" + "字" * 60 + "。"
    assert split_sentences(text) == [(0, 101), (101, 162)]


def test_split_sentences_leaves_out_white_space_around():
    assert split_sentences("  甲。 　乙。\n") == [(2, 4), (6, 8)]


@given(any_text)
def test_split_sentences_covers_everything_but_white_space(text):
    spans = split_sentences(text)
    covered = "".join(text[a:b] for a, b in spans)
    assert [c for c in covered if not c.isspace()] == [c for c in text if not c.isspace()]
    assert all(0 < b - a <= MAX_SENTENCE for a, b in spans)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))


@given(any_text, any_text, st.text(max_size=20), st.integers(-1, 5))
def test_highlight_gives_ordered_spans_inside_the_text(question, text, title, limit):
    found = highlight(question, text, title=title, limit=limit)
    assert len(found) <= max(0, limit)
    assert all(0 <= h.start < h.end <= len(text) and 0 <= h.score <= 1 for h in found)
    assert all(left.end <= right.start for left, right in pairwise(found))
    assert sorted(h.rank for h in found) == list(range(1, len(found) + 1))
    assert sum(h.score for h in found) <= 1.001


@given(any_text, any_text)
def test_highlight_ranks_by_score(question, text):
    scores = [h.score for h in sorted(highlight(question, text), key=lambda h: h.rank)]
    assert scores == sorted(scores, reverse=True)


@given(any_text, any_text)
def test_question_features_have_a_row_a_sentence_and_stay_between_0_and_1(question, text):
    rows = question_features(question, text, title=text[:5])
    assert len(rows) == len(split_sentences(text))
    assert all(len(row) == len(WEIGHTS) and all(0 <= value <= 1 for value in row) for row in rows)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("加装电梯补贴多少钱？", "每台补贴20万元"),
        ("加装电梯的申请人应当是谁？", "申请人应当是房屋所有权人"),
        ("申请加装电梯补贴要提交哪些材料？", "身份证明、不动产权证书"),
        ("这个办法什么时候开始施行", "2026年3月1日"),
    ],
)
def test_highlight_finds_the_sentence_that_answers(question, answer):
    assert answer in best(question)


def test_highlight_prefers_the_answer_to_the_sentence_that_repeats_the_question():
    text = "企业招用毕业生补贴标准是多少？每招用一人给予企业1500元。其他事项另行通知。"
    assert best("企业招用毕业生的补贴标准是多少", text) == "每招用一人给予企业1500元。"


def test_highlight_prefers_what_follows_a_heading_that_names_the_matter():
    text = "（一）办理时限。\n自受理之日起五个工作日内作出决定。\n（二）收费。\n不收取任何费用。\n"
    assert best("办理时限是多久", text) == "自受理之日起五个工作日内作出决定。"


def test_highlight_folds_full_width_letters_and_case():
    assert best("ａｐｐ叫什么", "打开云岚办APP即可。其他渠道见公告。") == "打开云岚办APP即可。"


@pytest.mark.parametrize("text", ["", "完全无关的内容。"])
def test_highlight_without_a_common_term_marks_nothing(text):
    assert highlight("加装电梯补贴", text) == []


@pytest.mark.parametrize("question", ["", "？？", "的吗呢"])
def test_highlight_without_a_question_marks_nothing(question):
    assert highlight(question, POLICY) == []


def test_highlight_finds_single_characters_of_everyday_words():
    text = "相邻业主发现漏水，可以向物业服务人反映。漏水的，由渗漏部位的业主维修。其他事项另行通知。"
    assert best("楼上漏水该谁修", text) == "漏水的，由渗漏部位的业主维修。"


@pytest.mark.parametrize(
    "bare",
    [
        "第三章 加装电梯补贴",
        "一、加装电梯补贴",
        "云府办规〔2025〕8号",
        "各区加装电梯补贴办公室：",
        "加装电梯补贴……………12",
    ],
)
def test_highlight_leaves_out_lines_that_say_nothing(bare):
    text = f"{bare}\n每台电梯补贴20万元。\n其他事项另行通知。"
    marked = [text[h.start : h.end] for h in highlight("加装电梯补贴", text)]
    assert marked == ["每台电梯补贴20万元。", "其他事项另行通知。"]


def test_highlight_leaves_out_the_repeated_title():
    text = "云岚市加装电梯补贴办法\n每台补贴20万元。"
    assert best("加装电梯补贴", text, title="关于印发云岚市加装电梯补贴办法的通知") == "每台补贴20万元。"


def test_highlight_marks_a_heading_where_there_is_nothing_else():
    assert best("加装电梯补贴", "第三章 加装电梯补贴") == "第三章 加装电梯补贴"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("电梯补贴多少钱", "电梯补贴每台最高20万元。"),
        ("电梯补贴多久到账", "电梯补贴自审核后二十个工作日内拨付。"),
        ("电梯补贴去哪里申请", "电梯补贴向区住房城乡建设部门申请。"),
        ("电梯补贴要带什么材料", "电梯补贴须提交身份证明和竣工资料。"),
    ],
)
def test_highlight_prefers_a_sentence_that_holds_what_is_asked_for(question, answer):
    text = (
        "电梯补贴实行专款专用。电梯补贴每台最高20万元。电梯补贴自审核后二十个工作日内拨付。"
        "电梯补贴向区住房城乡建设部门申请。电梯补贴须提交身份证明和竣工资料。"
    )
    assert best(question, text) == answer


def test_highlight_parts_compares_the_sentences_of_all_parts():
    parts = ["申请人应当是房屋所有权人。", "每台电梯补贴20万元。", "完全无关。"]
    first, second, third = highlight_parts("电梯补贴多少钱", parts)
    assert second[0].score > 0.5
    assert first == third == []


@given(st.lists(any_text, max_size=4), any_text)
def test_highlight_parts_answers_for_each_part(parts, question):
    found = highlight_parts(question, parts)
    assert len(found) == len(parts)
    assert all(0 <= h.start < h.end <= len(part) for part, own in zip(parts, found, strict=True) for h in own)


def test_highlight_respects_the_limit():
    assert [len(highlight("加装电梯补贴", POLICY, limit=n)) for n in (1, 2, 3)] == [1, 2, 3]


def test_highlight_of_a_long_document_is_fast():
    text = "市民申请加装电梯补贴，应当提交材料，由区住房主管部门在五个工作日内受理。" * 400
    started = time.perf_counter()
    highlight("我家楼上想要加装电梯，请问一台能补贴多少钱，去哪里办", text[:15000])
    assert time.perf_counter() - started < 0.15  # 5 ms alone; the machine may be busy


@pytest.mark.evaluation
def test_highlight_touches_the_answer_of_real_questions(evaluation_dir: Path):
    folder = evaluation_dir / "policies"
    documents = {row["id"]: row for row in _read_lines(folder / "docs.jsonl")}
    ranks = []
    for query in _read_lines(folder / "queries.jsonl"):
        right = (documents[i] for i in query["doc_ids"] if query["set"] == "ncp")
        document = next((d for d in right if query["answer"] in d["content"]), None)
        if document:
            ranks.append(_first_rank_that_touches(query, document))
    assert len(ranks) > 600
    assert sum(rank == 1 for rank in ranks) / len(ranks) >= 0.727
    assert sum(rank <= 3 for rank in ranks) / len(ranks) >= 0.911


def _read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _first_rank_that_touches(query: dict, document: dict) -> int:
    text, answer = document["content"], query["answer"]
    found = highlight(query["question"], text, title=document["title"])
    # A sentence touches an occurrence where the answer starts within reach of it and overlaps it.
    near = [h.rank for h in found if answer in text[max(0, h.start - len(answer) + 1) : h.end + len(answer) - 1]]
    return min(near, default=99)
