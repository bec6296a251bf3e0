"""Files of questions, with or without the policies that answer them: TXT a line each, CSV and XLSX a row each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from hotline.errors import DeskError
from hotline.models import Ticket
from hotline.services.tickets import QUESTION_LIMIT
from kb.errors import KnowledgeError
from kb.parsing import ParseLimits, ParseRefused
from kb.parsing.cleaning import clean_line, clean_text
from kb.parsing.decoding import decode_text, looks_binary
from kb.parsing.fields import normalise_name
from kb.tables import read_table

FEWEST, MOST = 50, 10_000
HEADER_ROWS = 5

_QUESTION_NAMES = frozenset(("问题", "诉求", "提问", "市民问题", "咨询内容", "诉求内容", "question", "query", "text"))
_TITLES = ("标题", "政策标题", "文件标题", "title")
_NUMBERS = ("发文字号", "文号", "documentnumber", "政策编号", "文件编号", "外部编号", "编号", "externalid")
_RIGHT = ("正确文件", "正确政策", "正确答案", "正确编号", "标准答案", "答案", "政策", "文件", "政策文件", "rightids")
_IDS = ("docids", "docid", "documentids", "documentid")
_ANSWER_NAMES = frozenset((*_TITLES, *_NUMBERS, *_RIGHT, *_IDS))
_CATEGORY_NAMES = frozenset(("业务类型", "category"))
_NOTE_NAMES = frozenset(("备注", "note"))
_CATEGORIES = {normalise_name(str(name)): code for code, label in Ticket.Category.choices for name in (code, label)}
_SEPARATORS = re.compile(r"[;；|\n]+")
_PARTS_OF_PLAIN = re.compile(r"\t+")


class QuestionFileError(DeskError):
    """The file is not taken; the message says why and what to do."""

    code = "question_file_refused"


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A question and what the file names as its right policies: ids, titles or document numbers, as written.

    `category`: the code of its line of business, "" for none or one that the desk does not know.
    """

    question: str
    answers: tuple[str, ...] = ()
    category: str = ""
    note: str = ""


class _Columns(NamedTuple):
    """How many rows come before the first question, and which columns hold what; -1 for none."""

    header_rows: int
    question: int
    answers: Sequence[int]
    category: int = -1
    note: int = -1


def read_questions(name: str, data: bytes, *, fewest: int = FEWEST) -> list[AskedRow]:
    """The file's questions, blank ones left out.

    Raises QuestionFileError where it cannot be read, holds fewer than `fewest` or more than MOST, or one is too long.
    """
    limit = settings.UPLOAD_MAX_MEGABYTES
    if len(data) > limit * 1024 * 1024:
        raise QuestionFileError(f"文件大于 {limit} MB，请拆分后再上传。", code="too_large")
    try:
        rows = list(_read_text(data) if _is_text(name) else _read_rows(read_table(name, data, limits=_limits())))
    except (KnowledgeError, ParseRefused) as error:
        raise QuestionFileError(str(error), code=error.code) from error
    if not fewest <= len(rows) <= MOST:
        raise QuestionFileError(
            f"文件里有 {len(rows)} 个问题；一次需要 {fewest} 到 {MOST} 个。", code="wrong_number_of_questions"
        )
    for number, row in enumerate(rows, start=1):
        if len(row.question) > QUESTION_LIMIT:
            raise QuestionFileError(
                f"第 {number} 个问题超过 {QUESTION_LIMIT} 字，请缩短后再上传。", code="question_too_long"
            )
    return rows


def split_answers(text: str) -> tuple[str, ...]:
    """The policies named in a cell, parted by ；, |, or line breaks; without the marks around a title."""
    parts = (clean_line(part).strip("《》 ") for part in _SEPARATORS.split(text))
    return tuple(dict.fromkeys(part for part in parts if part))


def _limits() -> ParseLimits:
    return ParseLimits(max_bytes=settings.UPLOAD_MAX_MEGABYTES * 1024 * 1024)


def _is_text(name: str) -> bool:
    return name.lower().endswith((".txt", ".text"))


def _read_text(data: bytes) -> Iterator[AskedRow]:
    """A question a line; after a tab its right policies."""
    if looks_binary(data[:8192]):
        raise QuestionFileError("文件不是文字，请另存为 TXT、CSV 或 XLSX 后再上传。", code="corrupt")
    for line in clean_text(decode_text(data)).split("\n"):
        question, *rest = _PARTS_OF_PLAIN.split(line)
        if question.strip():
            yield AskedRow(question.strip(), split_answers("\n".join(rest)))


def _read_rows(rows: Sequence[Sequence[str]]) -> Iterator[AskedRow]:
    columns = _find_columns(rows)
    for row in rows[columns.header_rows :]:
        question = _cell(row, columns.question)
        if question:
            answers = split_answers("\n".join(_cell(row, index) for index in columns.answers))
            category = _CATEGORIES.get(normalise_name(_cell(row, columns.category)), "")
            yield AskedRow(question, answers, category, _cell(row, columns.note))


def _find_columns(rows: Sequence[Sequence[str]]) -> _Columns:
    """Without a known header the first column holds questions and the second, where there is one, the policies."""
    for number, row in enumerate(rows[:HEADER_ROWS]):
        names = [normalise_name(cell) for cell in row]
        question_at = _find_column(names, _QUESTION_NAMES)
        if question_at >= 0:
            answers = [index for index, name in enumerate(names) if name in _ANSWER_NAMES]
            category, note = _find_column(names, _CATEGORY_NAMES), _find_column(names, _NOTE_NAMES)
            return _Columns(number + 1, question_at, answers, category, note)
    return _Columns(0, 0, [1])


def _find_column(names: Sequence[str], wanted: Collection[str]) -> int:
    return next((index for index, name in enumerate(names) if name in wanted), -1)


def _cell(row: Sequence[str], index: int) -> str:
    return row[index].strip() if 0 <= index < len(row) else ""
