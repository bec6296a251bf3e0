"""Lines that say nothing by themselves, and lines that look like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.passages import find_bare_lines

NOTICE = """云岚市人民政府关于印发云岚市养犬管理办法的通知
云府规〔2026〕9号
各区（县）人民政府，市政府各部门：
现印发给你们，请遵照执行。
云岚市人民政府
云岚市公安局
2026年9月28日
云岚市养犬管理办法
第一章 总则
第一条 为规范养犬行为，制定本办法。
一、申请材料
1.身份证复印件
2.犬只免疫证明
第二章 附则
第二条 养犬登记应当提交下列材料：
（一）申请表；
| 犬龄 | 费用 |
本办法自2026年10月1日起施行"""
TITLE = "云岚市人民政府关于印发云岚市养犬管理办法的通知"


def find(text: str, title: str = "") -> list[str]:
    return [text[start:end] for start, end in find_bare_lines(text, title=title)]


def test_formal_lines_and_headings_of_a_notice_are_found() -> None:
    assert find(NOTICE, TITLE) == [
        "云岚市人民政府关于印发云岚市养犬管理办法的通知",
        "云府规〔2026〕9号",
        "各区（县）人民政府，市政府各部门：",
        "云岚市人民政府",
        "云岚市公安局",
        "2026年9月28日",
        "云岚市养犬管理办法",
        "第一章 总则",
        "一、申请材料",
        "第二章 附则",
    ]


@pytest.mark.parametrize("text", ["目录", "目　录", "第一章 总则……3", "养犬登记....12", "第一章 总则\n第二章 登记"])
def test_table_of_contents_is_found(text: str) -> None:
    assert find(text) == text.split("\n")


@pytest.mark.parametrize(
    "text",
    [
        "1.身份证复印件\n2.犬只免疫证明",
        "一、现场申请\n二、网上申请",
        "第五条 补贴期限不超过三十六个月：",
        "第三条 每户限养一只。",
        "（一）申请表；",
        "| 第一章 | 云府规〔2026〕9号 |",
        "市公安局",
        "根据云府规〔2026〕9号办理",
        "各区应当在2026年9月28日前报送",
    ],
)
def test_lines_that_say_something_are_left(text: str) -> None:
    assert find(text) == []


def test_heading_between_lists_is_found() -> None:
    assert find("（一）材料\n1.身份证\n2.户口簿\n（二）时限\n1.五日\n2.十日") == ["（一）材料", "（二）时限"]


def test_title_is_known_only_where_it_is_told() -> None:
    assert find("云岚市养犬管理办法\n每户限养一只。") == []


@given(st.text(alphabet="第一章条、（）总则。：\n 1.|各〔2026〕号年月日", max_size=120), st.text(max_size=10))
def test_spans_are_in_order_and_hold_text(text: str, title: str) -> None:
    spans = find_bare_lines(text, title=title)
    assert spans == sorted(spans)
    assert all(text[start:end].strip() for start, end in spans)
