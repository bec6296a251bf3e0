"""What a change of wording must leave as it is: negations, numbers, amounts and dates."""

import re
from typing import NamedTuple

# Characters that negate, and the words in which they do not.
_NEGATION = re.compile("[不没无未非别勿]|禁止|拒绝")
_NO_NEGATION = re.compile(
    r"([\u4e00-\u9fff])[不没]\1|可不可以|有没有|[特分区级类性识鉴个告辨判派]别|别[人墅的处名]|非常|非遗|非法|非机动车|除非|无论|没收|淹没"
    "|不好意思|对不起|不动产|未成年|未来|差不多|无障碍|无人机|无线|莫非|是非|不管|不论|不但|不仅|不过|只不过|来不及|不少|不断"
)
_NUMBER = re.compile(
    r"[0-9]+(?:[.,:][0-9]+)*[%万亿千百]?|[一二三四五六七八九十百千万亿两零〇半几]+(?=[年月日天个号元块倍成岁平米层楼次户名件级周点折])"
)
ASKS_WITH_NEGATION = re.compile(r"([\u4e00-\u9fff])[不没]\1|可不可以|有没有")
CONTEXT = 4  # characters on either side that decide what a changed stretch means


class Meaning(NamedTuple):
    """How often a text negates, and its numbers in order."""

    negations: int
    numbers: tuple[str, ...]


def read_meaning(text: str) -> Meaning:
    numbers = tuple(number for number in _NUMBER.findall(text) if number != "几")
    return Meaning(len(_NEGATION.findall(_NO_NEGATION.sub("　", text))), numbers)


def keeps_meaning(text: str, start: int, end: int, after: str) -> bool:
    """Whether `after` in the place of `text[start:end]` negates as often and has the same numbers, in its context."""
    left, right = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
    return read_meaning(left + text[start:end] + right) == read_meaning(left + after + right)
