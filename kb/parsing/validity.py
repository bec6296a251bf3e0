"""From the text of a policy: when it was issued, takes effect, ends, and what it repeals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from kb.parsing.dates import DATE, add_years, chinese_number, date_of

_DAY = DATE.pattern
_NUMBER = r"(?:\d{1,2}|[一二两三四五六七八九十]{1,3})"
_KINDS = "办法|规定|细则|条例|通知|意见|方案|通告|公告|决定|措施|规则|文件|法|标准|目录|指南|指引|规范|政策|制度|令"
_SELF = rf"(?:本|该)(?:{_KINDS})?"
_EFFECTIVE = re.compile(
    rf"(?:自|从|于|将于)\s*{_DAY}\s*(?:零时)?\s*(?:起|开始)?\s*(?:正式)?\s*(?:施行|实施|执行|生效|试行|实行)"
)
_EFFECTIVE_AT_ONCE = re.compile(r"自(?:印发|发布|公布|颁布|下发|发文)之日起\s*(?:正式)?\s*(?:施行|实施|执行|生效|试行)")
_EFFECTIVE_LATER = re.compile(
    r"自(?:印发|发布|公布|颁布)之日起\s*(?P<days>\d{1,3}|三十|六十)\s*日后\s*(?:施行|实施|执行|生效)"
)
_EXPIRES_ON = re.compile(rf"(?:有效期|执行期限|实施期限|试行期|执行)[^。；\n]{{0,20}}?(?:至|到)\s*{_DAY}")
_LASTS = re.compile(
    rf"(?:有效期|试行期|执行期限?|实施期限|有效期限|试行)(?:限)?\s*(?:为|暂定为|暂定|是)?\s*(?:(?P<years>{_NUMBER})\s*年|(?P<months>{_NUMBER})\s*个月)"
)
_OWN = rf"本(?:实施|暂行|管理|若干|政策)*(?:{_KINDS})"
_ALONE = r"^\s*(?:第[一二三四五六七八九十百]+条|[一二三四五六七八九十]+、)?\s*"
_STARTS_OF_ITSELF = re.compile(rf"{_OWN}|公布|发布|印发|{_ALONE}$")
_SPEAKS_OF_ITSELF = re.compile(
    rf"{_OWN}|{_ALONE}自.{{2,20}}日起\s*(?:暂|正式)?(?:施行|实施|执行|试行)|政策(?:措施)?(?:执行|实施)期限"
)
_OF_ANOTHER = re.compile(r"证|注册|许可|合同|协议|资格|资质|凭证|备案|《")
_REPEALED_WITH = re.compile(
    r"(?:同时|同步|即行|予以|自行|起)\s*(?:废止|停止执行|失效)|(?:废止|停止执行)[。；]?$", re.MULTILINE
)
_CITED = re.compile(r"《[^《》]{2,100}(?:《[^《》]*》[^《》]{0,60})*》(?:\s*[（(][^（）()]{4,60}[）)])?")
_SIGNED = re.compile(rf"^(?:[^\n。；]{{0,40}}?\s)?{_DAY}\s*(?:印发|发布|公布)?$", re.MULTILINE)
_SIGNED_INLINE = re.compile(rf"(?:政府|[局委厅部院会]|办公室|指挥部|中心)\s+{_DAY}(?=\s|$)")
_ADOPTED = re.compile(r"^[（(]?\s*(?:19|20)\d{2}年[^。]*(?:通过|公布|发布|修订|修正|印发|施行|实施)\s*[）)]?$")
_IN_FORCE_FROM = re.compile(rf"{_DAY}\s*(?:起)?\s*(?:施行|实施)")
_REPEALED = re.compile(
    rf"(?:已|本文件|{_SELF}|现)[^。；\n]{{0,10}}?(?:于|自)\s*{_DAY}\s*(?:起)?\s*(?:废止|失效|停止执行)"
)
_HEAD = 1200
_NOTE_LINES = 8


@dataclass(frozen=True, slots=True)
class Validity:
    """Days as the text gives them; None where it does not."""

    issued_on: date | None = None
    effective_on: date | None = None
    expires_on: date | None = None
    repealed_on: date | None = None
    repeals: tuple[str, ...] = ()


def read_validity(text: str, *, issued_on: date | None = None, effective_on: date | None = None) -> Validity:
    """What the text says. `issued_on` and `effective_on`, where the file states them, win; terms count from them."""
    issued = issued_on or find_issue_date(text)
    effective = effective_on or _find_effective_date(text, issued)
    return Validity(issued, effective, _find_expiry(text, effective or issued), _find_repeal(text), find_repeals(text))


def find_issue_date(text: str) -> date | None:
    """The last day of the adoption note under the title, else the day of the first signature."""
    if note := _IN_FORCE_FROM.sub("", _adoption_note(text)):
        days = [day for match in DATE.finditer(note) if (day := date_of(match))]
        return max(days, default=None)
    letter = _without_attachments(text)
    match = _SIGNED.search(letter) or _SIGNED_INLINE.search(letter)
    return date_of(match) if match else None


def find_repeals(text: str) -> tuple[str, ...]:
    """What the text says is repealed with it, as cited: `《…办法》（云府规〔2019〕3号）`."""
    found: list[str] = []
    for match in _REPEALED_WITH.finditer(text):
        start = max(text.rfind(mark, 0, match.start()) for mark in "。；\n")
        found += ["".join(cited.split()) for cited in _CITED.findall(text, start + 1, match.start())]
    return tuple(dict.fromkeys(found))


def _adoption_note(text: str) -> str:
    """The line under the title that says when and by whom the law was adopted; '' where there is none."""
    lines = (line.strip() for line in text[:_HEAD].split("\n")[:_NOTE_LINES])
    return next((line for line in lines if _ADOPTED.match(line)), "")


def _find_effective_date(text: str, issued: date | None) -> date | None:
    own = [
        match for match in _EFFECTIVE.finditer(text) if _STARTS_OF_ITSELF.search(_clause_before(text, match.start()))
    ]
    match = own[-1] if own else _IN_FORCE_FROM.search(_adoption_note(text))
    if match:
        return date_of(match)
    if issued and (later := _EFFECTIVE_LATER.search(text)):
        count = {"三十": 30, "六十": 60}.get(later["days"]) or int(later["days"])
        return issued + timedelta(days=count)
    return issued if issued and _EFFECTIVE_AT_ONCE.search(text) else None


def _find_expiry(text: str, start: date | None) -> date | None:
    """The last day in force: the one named, else the day before the term is over."""
    for match in _own_terms(_EXPIRES_ON, text):
        day = date_of(match)
        if day and (start is None or day >= start):
            return day
    term = next(_own_terms(_LASTS, text), None)
    if start is None or term is None:
        return None
    years = chinese_number(term["years"].replace("两", "二")) if term["years"] else 0
    months = chinese_number(term["months"].replace("两", "二")) if term["months"] else 0
    return add_years(start, years, months) - timedelta(days=1)


def _own_terms(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """From the last on, the terms of the policy itself (`本办法自…起施行，有效期5年`), not of a licence under it."""
    for match in reversed(list(pattern.finditer(text))):
        clause = _clause_before(text, match.start()) + match.group()
        if _SPEAKS_OF_ITSELF.search(clause) and not _OF_ANOTHER.search(clause):
            yield match


def _clause_before(text: str, offset: int) -> str:
    """The sentence up to `offset`."""
    return text[max(text.rfind(mark, 0, offset) for mark in "。；\n") + 1 : offset]


def _find_repeal(text: str) -> date | None:
    match = _REPEALED.search(text[:_HEAD])
    return date_of(match) if match else None


def _without_attachments(text: str) -> str:
    """The letter without its attachments; for a text that begins with an attachment, all of it."""
    match = re.search(r"^附件\s*\d*\s*$", text, re.MULTILINE)
    return text[: match.start()] if match and match.start() > 100 else text
