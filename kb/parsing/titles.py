"""The title of a policy from the first lines of its text."""

from __future__ import annotations

import re

from kb.parsing.cleaning import clean_line, close_spaces
from kb.parsing.document_numbers import find_document_number

_KINDS = (
    "通知|通告|公告|通报|决定|命令|令|意见|批复|函|纪要|办法|规定|细则|条例|方案|规划|计划|措施|指南|指引|规程|规范|标准|"
    "准则|章程|制度|规则|目录|清单|解释|法|典|答复|说明|要点|倡议书|协议|提示|提醒|解读|问答|公约"
)
_ENDS_LIKE_TITLE = re.compile(rf"(?:{_KINDS})(?:》?的(?:通知|决定|公告|批复|函|意见))?(?:[（(][^（）()]*[）)])?[》”]?$")
_NOT_TITLE = re.compile(
    r"文件$|^(?:索引号|发布机构|发文机关|成文日期|发布日期|发文字号|文号|主题词|来源|日期|附件|目录|目\s+录|抄送|特急|急件|加急|密级)"
    r"|^[\d\s年月日.\-/:：〇○零一二三四五六七八九十]+$|^第[一二三四五六七八九十百\d]+[章条节]|^[（(].*[）)]$|[。；：:，]$|^\||^[—\-\d\s]+$"
)
_BRACKETED = re.compile(r"^[（(][^（）()]{1,40}[）)]$")
_WORDY = re.compile(r"^(?!.*(?:政府|[局厅委院]|办公厅|办公室)$)(?=.{6,60}$)(?:.*[\u4e00-\u9fff]){5}")
_ORGAN = re.compile(r"(?:政府|[局厅部委院会]|办公厅|办公室|中心|总署)$")
_SEARCHED_LINES = 15
_LONGEST_TITLE = 120
_AFTER_ORGAN = re.compile("关于|印发|转发|公告|通告|令|办公[厅室]|和|、|及")
_MOST_LINES = 4


def find_title(text: str) -> str:
    """The title that a text begins with, or '' where its first lines look like none.

    A title may stand on up to four lines, under the red letterhead and the document number.
    """
    lines = [line.strip() for line in text[:4000].split("\n") if line.strip()][:_SEARCHED_LINES]
    candidates = [index for index, line in enumerate(lines) if _may_be_title(line)]
    for index in candidates:
        title = _joined_title(lines, index)
        if title:
            return title
    return next((tidy_title(lines[index]) for index in candidates if _WORDY.match(lines[index])), "")


def _may_be_title(line: str) -> bool:
    if len(line) > _LONGEST_TITLE or _NOT_TITLE.search(line):
        return False
    number = find_document_number(line)
    return not number or len(number) < len(close_spaces(line)) - 4


def _joined_title(lines: list[str], index: int) -> str:
    """From `index` on, the fewest lines that together end like a title; '' if none do."""
    title = ""
    for past in range(index, min(index + _MOST_LINES, len(lines))):
        if past > index and (find_document_number(lines[past]) or _NOT_TITLE.search(lines[past])):
            return ""
        between = " " if _ORGAN.search(title) and not _AFTER_ORGAN.match(lines[past]) else ""
        title += between + lines[past]
        if len(title) > _LONGEST_TITLE:
            return ""
        if _ENDS_LIKE_TITLE.search(title) and title.count("《") == title.count("》"):
            following = lines[past + 1] if past + 1 < len(lines) else ""
            suffix = following if _BRACKETED.match(following) and _is_status(following) else ""
            return tidy_title(title + suffix)
    return ""


def _is_status(line: str) -> bool:
    return bool(re.search(r"试行|暂行|修订|修正|第.+版|草案|征求意见稿", line)) and len(line) <= 20


def tidy_title(title: str) -> str:
    """On one line; the only spaces left part Latin words and the organs who issued it together."""
    first, *others = clean_line(title).split(" ")
    tidy = last = first
    for word in others:
        organs = len(last) > 2 and len(word) > 3 and _ORGAN.search(last) and not _AFTER_ORGAN.match(word)
        tidy += (" " if organs or (tidy[-1:].isascii() and word[0].isascii()) else "") + word
        last = word
    return tidy[1:-1] if tidy.startswith("《") and tidy.endswith("》") and tidy.count("《") == 1 else tidy
