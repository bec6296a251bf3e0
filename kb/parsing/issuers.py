"""Who issued a policy, on which level, for which region."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb.parsing.cleaning import clean_line, close_spaces
from kb.parsing.titles import tidy_title

_ORGAN_END = (
    "人民政府办公厅|人民政府办公室|人民政府|办事处|办公厅|办公室|委员会|管理局|总局|监管局|管委会|指挥部|领导小组|工作专班|"
    "人民法院|人民检察院|税务局|公安局|分局|中心|银行|国务院|联席会议|总工会|协会|管理处|[局厅部委院署]"
)
_ORGAN = rf"[\u4e00-\u9fff（）()]{{2,30}}?(?:{_ORGAN_END})"
_TITLE_ISSUER = re.compile(
    rf"^(?P<issuer>(?:{_ORGAN})(?:[\s、，]+(?:{_ORGAN}))*)\s*(?:关于|印发|转发|令|公告|通告|办公厅关于)"
)
_SIGNATURE = re.compile(rf"^{_ORGAN}(?: {_ORGAN})*$")
_ORDER_ISSUER = re.compile(rf"^(?P<issuer>{_ORGAN})(?:令|公告|通告)(?:第|(?:19|20)\d\d年)")
_DATE_LINE = re.compile(r"^(?:[12]\d{3}|[一二][〇○零Ｏ一二三四五六七八九]{3})\s*年.{1,12}日$")
_PROVINCE = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|"
    "甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_MUNICIPALITY = re.compile(r"^(?:北京|天津|上海|重庆)市")
_NATIONAL = re.compile(
    r"^(?:中共中央|中央|国务院|国家|全国|中华人民共和国|中国|最高人民|[\u4e00-\u9fff]{1,10}部(?:办公厅)?(?:\s|$|令|、|关于)|"
    r"[\u4e00-\u9fff]{2,12}(?:总局|总署)(?:办公厅)?(?:\s|$|、|关于))"
)
# 国家税务总局深圳市税务局 is the city's, whatever its name begins with
_HEAD_OF_BRANCH = re.compile(
    r"^(?:国家|中国)[\u4e00-\u9fff]{2,12}?(?:总局|总署|局|银行)(?!关于|印发|公布|办公厅)"
    r"(?=[\u4e00-\u9fff]{2,7}?(?:省|市|自治区|区|县)[\u4e00-\u9fff]{0,4}(?:局|分行|总队)(?:[\s、]|关于|$))"
)
_PLACE = re.compile(
    rf"^(?P<province>(?:{_PROVINCE})(?:省|市|(?:维吾尔|壮族|回族)?自治区)|[\u4e00-\u9fff]{{2,4}}省)?"
    r"(?P<city>[\u4e00-\u9fff]{2,6}?(?:市|自治州|盟|地区))?"
    r"(?P<district>[\u4e00-\u9fff]{1,6}?(?:新区|高新区|开发区|区|自治县|县|旗))?"
    r"(?P<street>[\u4e00-\u9fff]{1,8}?(?:街道|镇|乡))?"
)
_LEVEL_NAMES = {
    "国家": "national",
    "中央": "national",
    "全国": "national",
    "法律": "national",
    "行政法规": "national",
    "部门规章": "national",
    "司法解释": "national",
    "省": "province",
    "自治区": "province",
    "直辖市": "province",
    "市": "city",
    "地市": "city",
    "区": "district",
    "县": "district",
    "区县": "district",
    "街道": "street",
    "乡镇": "street",
    "街道乡镇": "street",
}
_MOST_SIGNERS = 10
LEVELS = frozenset(_LEVEL_NAMES.values())


def find_issuer(title: str, text: str, document_number: str = "") -> str:
    """From the title (`X关于印发…`), else from the line over the date of signature, else from the number of an order
    (`X令第5号`); '' where none says.
    """
    if match := _TITLE_ISSUER.match(title):
        return clean_line(match["issuer"])
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if _DATE_LINE.match(close_spaces(line)) and (signers := _signers_above(lines, index)):
            return " ".join(signers)
    order = _ORDER_ISSUER.match(document_number)
    return order["issuer"] if order else ""


def find_signature_lines(lines: Sequence[str]) -> list[int]:
    """Where the lines stand that hold a date alone, and the organs directly over it."""
    found: list[int] = []
    for index, line in enumerate(lines):
        if _DATE_LINE.match(close_spaces(line)):
            found += range(index - len(_signers_above(lines, index)), index + 1)
    return found


def _signers_above(lines: Sequence[str], index: int) -> list[str]:
    """The organs that signed, one a line, directly over the line of the date."""
    signers: list[str] = []
    while index and len(signers) < _MOST_SIGNERS and _SIGNATURE.match(signer := tidy_title(lines[index - 1])):
        index -= 1
        signers.insert(0, signer)
    return signers


def find_level_and_region(issuer: str, title: str) -> tuple[str, str]:
    """(`level`, `region`), e.g. ("district", "广州市天河区"); the region of national policies is 全国."""
    for text in (issuer, title):
        text = _HEAD_OF_BRANCH.sub("", text.strip("《（("))
        if _NATIONAL.match(text):
            return "national", "全国"
        match = _PLACE.match(text)
        if match and match.group():
            return _level_of(match), match.group()
    return "", ""


def normalise_level(text: str) -> str:
    """A stated level (国家级, 市, city) as one of the five; '' for others."""
    text = text.strip().lower()
    return text if text in LEVELS else _LEVEL_NAMES.get(text.removesuffix("级"), "")


def _level_of(match: re.Match[str]) -> str:
    if match["street"]:
        return "street"
    if match["district"]:
        return "district"
    if match["city"]:
        return "city"
    return "province" if match["province"] or _MUNICIPALITY.match(match.group()) else ""
