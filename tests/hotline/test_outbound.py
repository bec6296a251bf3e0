"""What of a question may leave the office."""

from __future__ import annotations

import pytest

from hotline.masking import find_personal_data
from hotline.outbound import prepare_for_sending


@pytest.mark.parametrize(
    ("question", "sent"),
    [
        ("我电话13812345678，楼上漏水", "我电话，楼上漏水"),
        ("我电话138****5678，楼上漏水", "我电话，楼上漏水"),
        ("邮箱zhang@example.com收不到通知", "邮箱收不到通知"),
        ("我叫张三，楼上漏水", "我叫某人，楼上漏水"),
        ("姓名：欧阳小明，想办居住证", "姓名：某人，想办居住证"),
        ("王女士反映物业不管", "某女士反映物业不管"),
        ("住幸福路12号3栋2单元502室，暖气不热", "住幸福路某号某户，暖气不热"),
        ("京A12345被贴条了", "某车牌被贴条了"),
        ("加我微信abc_12345", "加我微信某号"),
    ],
)
def test_what_points_at_a_person_stays_here(question: str, sent: str) -> None:
    assert prepare_for_sending(question) == sent
    assert find_personal_data(prepare_for_sending(question)) == []


@pytest.mark.parametrize(
    "question",
    [
        "公租房怎么申请，月收入2500元",
        "3号楼电梯坏了3个月没人修",
        "《云岚市居住证管理条例》云府发〔2025〕8号第十二条",
        "中山路100号线路公交改道",
        "高温补贴一天多少钱",
        "12345打不通",
    ],
)
def test_what_the_question_says_is_sent_as_it_is(question: str) -> None:
    assert prepare_for_sending(question) == question
