"""What kind of thing a question asks for, and how a sentence looks that holds one. Pure tables."""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBER = r"(?:\d[\d,.]*|[一二三四五六七八九十百千两]+)"
_LENGTH = r"(?:个?工作日|个?月|个?小时|个?星期|日|天|年|周|分钟|时)"


class AskedKind(NamedTuple):
    """`asks` is found in questions that ask for the thing, `holds` in sentences that hold one."""

    asks: re.Pattern[str]
    holds: re.Pattern[str]


ASKED_KINDS = {
    "amount": AskedKind(
        re.compile(r"多少(?![天年月日户人个次岁小])|钱|几块|费用|收费|金额|额度|标准|比例|有没有补[贴助]"),
        re.compile(rf"{_NUMBER}\s*[万亿]?元|百分之|\d\s*[%％]|百分点|分之|{_NUMBER}倍|免收|免费|不收取"),
    ),
    "time": AskedKind(
        re.compile(
            r"多久|多长时间|几[天年点]|几个?[月小]|多少[天年]|什么时[候间]|何时|哪[天年]|期限|时限|最晚|截止|时间"
        ),
        re.compile(rf"^(?!.*起(?:施行|实施)).*?(?:{_NUMBER}\s*{_LENGTH}|长期有效|当[场日])"),
    ),
    "contact": AskedKind(
        re.compile(r"哪里|哪儿|在哪|去哪|电话|热线|地址|网址|哪个部门|哪个窗口|谁管|找谁"),
        re.compile(
            r"\d{3,4}-?\d{7,8}|\d{5,}|热线|电话|窗口|地址|网站|app|公众号|小程序|由\S{2,20}(?:负责|处理)|向\S{2,25}(?:申请|投诉|举报|提出)"
        ),
    ),
    "materials": AskedKind(
        re.compile(r"材料|手续|证件|哪些证|什么证|带什么|带啥|要带|准备什么|提交什么"),
        re.compile(r"提交|提供|材料|凭|身份证|证明|证书|申请表|复印件|户口"),
    ),
}
