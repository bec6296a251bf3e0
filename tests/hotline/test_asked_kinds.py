"""What is asked for, in everyday words, and the sentences that hold it."""

from __future__ import annotations

import pytest

from hotline.asked_kinds import ASKED_KINDS


@pytest.mark.parametrize(
    ("question", "kinds"),
    [
        ("加装电梯政府补多少钱", {"amount"}),
        ("租房一个月补多少", {"amount"}),
        ("有没有补助", {"amount"}),
        ("低保标准现在是多少", {"amount"}),
        ("要公示几天", {"time"}),
        ("多久有结果", {"time"}),
        ("最晚什么时候办", {"time"}),
        ("能领多少天", {"time"}),
        ("去哪里申请", {"contact"}),
        ("噪声扰民归谁管", {"contact"}),
        ("居住证要带啥", {"materials"}),
        ("需要什么材料", {"materials"}),
        ("邻居不同意怎么办", set()),
        ("要多少户同意", set()),
    ],
)
def test_question_asks_for(question: str, kinds: set[str]) -> None:
    assert {name for name, kind in ASKED_KINDS.items() if kind.asks.search(question)} == kinds


@pytest.mark.parametrize(
    ("sentence", "kinds"),
    [
        ("每台最高不超过20万元。", {"amount"}),
        ("按照百分之五十给予补贴。", {"amount"}),
        ("公示不少于七日。", {"time"}),
        ("应当在二十个工作日内完成审核。", {"time"}),
        ("备案长期有效。", {"time"}),
        ("向区住房城乡建设部门申请。", {"contact"}),
        ("咨询电话0571-88886666。", {"contact"}),
        ("应当提交身份证明。", {"materials"}),
        ("实行专款专用。", set()),
        ("本办法自2026年3月1日起施行，有效期五年。", set()),
    ],
)
def test_sentence_holds(sentence: str, kinds: set[str]) -> None:
    assert {name for name, kind in ASKED_KINDS.items() if kind.holds.search(sentence)} == kinds
