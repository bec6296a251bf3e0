"""How stored values look on a page. Pure: texts to marked runs, scores to bars, codes to Chinese. No queries."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise, takewhile
from typing import NamedTuple

from kb.passages import STOPS, heading_path_at
from kb.status import Status, ValidityDates, days_left, status_on

EXPIRES_SOON_DAYS = 60
WINDOW = 20_000  # characters of a very long text shown either side of the passage
MAX_WHOLE_TEXT = 60_000

Span = tuple[int, int]

_TABLE_RULE = re.compile(r"^[ \t]*\|(?:[ \t]*:?-{3,}:?[ \t]*\|)+[ \t]*(?:\n|\Z)", re.MULTILINE)


class Run(NamedTuple):
    """A stretch of text that is marked or not."""

    text: str
    is_marked: bool


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A line of a document. `is_target`: the first line of the passage that is opened. A table's row has `cells`."""

    runs: tuple[Run, ...]
    is_in_passage: bool
    is_target: bool = False
    is_heading: bool = False
    cells: tuple[tuple[Run, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document's lines around a passage; `cut_before` and `cut_after` count the characters left out."""

    paragraphs: tuple[Paragraph, ...]
    cut_before: int = 0
    cut_after: int = 0


@dataclass(frozen=True, slots=True)
class StatusLabel:
    """`tone` is ok, plain, doubt or danger."""

    text: str
    tone: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ScoreBar:
    """`width` is 0 to 100; `label` says which kind of figure `value` is."""

    width: int
    label: str
    value: str
    is_relative: bool


def merge_spans(spans: Iterable[Sequence[int]], length: int) -> list[Span]:
    """Spans in order, inside 0..length, without overlaps; what is empty or malformed is dropped."""
    whole = sorted((max(0, span[0]), min(length, span[1])) for span in spans if len(span) == 2)
    merged: list[Span] = []
    for start, end in whole:
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def split_runs(text: str, spans: Iterable[Sequence[int]]) -> tuple[Run, ...]:
    """The text as runs that, put together, give it back; those inside `spans` are marked."""
    merged = merge_spans(spans, len(text))
    edges = [0, *(edge for span in merged for edge in span), len(text)]
    runs = (Run(text[start:end], index % 2 == 1) for index, (start, end) in enumerate(pairwise(edges)))
    return tuple(run for run in runs if run.text)


def excerpt_runs(text: str, spans: Iterable[Sequence[int]], *, before: int = 40, limit: int = 130) -> tuple[Run, ...]:
    """The part of a text that a list shows: from a little before the first marked span, about `limit` characters.

    The first of `spans` is the best: where it would not fit, the part begins a little before it. What is left out at
    either end is an ellipsis; a marked span is never cut.
    """
    spans = list(spans)
    merged = merge_spans(spans, len(text))
    best = merge_spans(spans[:1], len(text))
    start = _excerpt_start(text, merged, best[0][0] if best else 0, before=before, limit=limit)
    end = min(len(text), start + limit)
    end = next((span[1] for span in merged if span[0] < end < span[1]), end)
    if len(text) - end <= 10:
        end = len(text)
    local = [(a - start, b - start) for a, b in merged if start <= a and b <= end]
    runs = split_runs(text[start:end], local)
    head = (Run("…", False),) if start else ()
    return (*head, *runs, Run("…", False)) if end < len(text) else (*head, *runs)


def layout_document(text: str, *, passage: Span | None, spans: Iterable[Sequence[int]] = ()) -> DocumentText:
    """A document's lines with the passage and its marked `spans` (offsets in `text`).

    A text of more than 60,000 characters is shown 20,000 either side of the passage.
    """
    window = _window(text, passage)
    merged = merge_spans(spans, len(text))
    paragraphs: list[Paragraph] = []
    has_target = False
    for start, end in _lines(text, window):
        inside = passage is not None and start < passage[1] and end > passage[0]
        local = [(a - start, b - start) for a, b in merged if a < end and b > start]
        paragraph = _make_paragraph(text[start:end], local, is_in_passage=inside, is_target=inside and not has_target)
        has_target = has_target or inside
        if paragraph:
            paragraphs.append(paragraph)
    return DocumentText(tuple(paragraphs), window[0], len(text) - window[1])


def drop_table_rules(text: str) -> str:
    """Without the `| --- | --- |` lines that part a table's header from its body."""
    return _TABLE_RULE.sub("", text)


def is_heading(line: str) -> bool:
    """第一章 总则, 一、适用范围: short lines that begin like a heading and end without a full stop."""
    line = line.strip()
    if not line or len(line) > 40 or line[-1] in "。；，：":
        return False
    return (line[0] == "第" and any(mark in line[:8] for mark in "编章节")) or line[1:2] == "、"


def describe_status(validity: ValidityDates, day: date, *, is_withdrawn: bool = False) -> StatusLabel:
    """What a version is on a day: quiet while in force, amber where it soon is not, red where it may not serve."""
    if is_withdrawn:
        return StatusLabel("已撤回", "danger")
    status = status_on(validity, day)
    if status is Status.IN_FORCE:
        left = days_left(validity, day)
        if left is not None and left <= EXPIRES_SOON_DAYS:
            return StatusLabel(status.label, "doubt", f"还有 {left} 天失效" if left else "今天是最后一天")
        return StatusLabel(status.label, "ok")
    tones = {Status.DRAFT: "plain", Status.NOT_YET_IN_FORCE: "doubt"}
    return StatusLabel(status.label, tones.get(status, "danger"))


def describe_dates(
    *,
    issued_on: date | None,
    effective_on: date | None,
    expires_on: date | None,
    repealed_on: date | None,
    superseded_on: date | None,
) -> str:
    """The days that matter on one line: 2025-03-01 施行 · 2027-02-28 失效."""
    parts = [(effective_on, "施行") if effective_on else (issued_on, "发布")]
    parts += [(repealed_on, "废止"), (superseded_on, "被新版取代"), (expires_on, "失效")]
    return " · ".join(f"{day.isoformat()} {word}" for day, word in parts if day)


def make_bars(
    *,
    relevance: Sequence[float | None],
    log_odds: Sequence[float | None],
    first_stage: Sequence[float],
    calibrated: bool,
) -> list[ScoreBar]:
    """A bar a result, of the best kind of figure there is.

    P(yes) only where the reranker is calibrated. Otherwise the odds relative to the best (best = 100), and before
    reranking the first stage's score relative to its best: neither is a probability, and both say so.
    """
    if calibrated and any(score is not None for score in relevance):
        return [_probability_bar(score) for score in relevance]
    scored = [score for score in log_odds if score is not None]
    if scored:
        best = max(scored)
        shares = [0.0 if score is None else math.exp(min(0.0, score - best)) for score in log_odds]
        return [ScoreBar(round(100 * share), "相对得分", f"{100 * share:.0f}", True) for share in shares]
    best = max(first_stage, default=0.0)
    shares = [max(0.0, score / best) if best > 0 else 0.0 for score in first_stage]
    return [ScoreBar(round(100 * share), "初筛相对得分", f"{100 * share:.0f}", True) for share in shares]


def _probability_bar(score: float | None) -> ScoreBar:
    if score is None:
        return ScoreBar(0, "相关度", "—", False)
    return ScoreBar(round(100 * score), "相关度", f"{score:.2f}", False)


def locate_marks(text: str, heading_path: Sequence[str], spans: Iterable[Sequence[int]]) -> str:
    """Where the marked sentences of a passage stand: 第三章 物业服务 第九条、第十条.

    A passage is placed by its beginning (`heading_path`); what is marked may lie under a later 条 of it. A 款 that
    cannot be told is left out, so that nothing wrong is cited.
    """
    starts = [start for start, _ in merge_spans(spans, len(text))]
    paths = list(dict.fromkeys(_path_at(text, heading_path, start) for start in starts)) or [tuple(heading_path)]
    shared = sum(1 for _ in takewhile(lambda labels: len(set(labels)) == 1, zip(*paths, strict=False)))
    rest = "、".join(" ".join(path[shared:]) for path in paths if path[shared:])
    return " ".join([*paths[0][:shared], *([rest] if rest else [])])


def _path_at(text: str, heading_path: Sequence[str], offset: int) -> tuple[str, ...]:
    """The heading path at an offset of a passage that begins under `heading_path`."""
    local = heading_path_at(text, offset)
    if local and _heading_rank(local[0]) is not None:
        return (*takewhile(lambda label: _is_above(label, local[0]), heading_path), *local)
    is_first_line = "\n" not in text[:offset].lstrip()
    return tuple(label for label in heading_path if is_first_line or not label.endswith("款"))


def _heading_rank(label: str) -> int | None:
    """编 0, 章 1, 节 2, 条 3; None for other headings."""
    match = re.match(r"第[^编章节条]{1,9}([编章节条])", label)
    return "编章节条".index(match[1]) if match else None


def _is_above(label: str, other: str) -> bool:
    rank, limit = _heading_rank(label), _heading_rank(other)
    return rank is not None and limit is not None and rank < limit


def compose_answer(*, text: str, spans: Iterable[Sequence[int]], citation: str, location: str) -> str:
    """What the agent copies: the marked sentences (the whole passage where none is marked) and where they stand."""
    marked = [run.text.strip() for run in split_runs(text, spans) if run.is_marked]
    answer = "".join(marked) if marked else drop_table_rules(text).strip()
    return f"{answer}\n——{citation}" + (f"，{location}" if location else "")


def _excerpt_start(text: str, marked: Sequence[Span], best: int, *, before: int, limit: int) -> int:
    """A little before the first marked span from which `best` (an offset) is within the limit, and after the others."""
    previous = 0
    for first, end in marked:
        is_near = not previous and first <= before + 10
        start = 0 if is_near else _sentence_start(text, max(previous, first - before), first)
        start = _skip_space(text, start, first)
        if best < max(start + limit, end):
            return start
        previous = end
    return _skip_space(text, 0, len(text))


def _skip_space(text: str, start: int, end: int) -> int:
    """Where the first character that is no white space stands between `start` and `end`, or `end`."""
    return end - len(text[start:end].lstrip())


def _sentence_start(text: str, low: int, high: int) -> int:
    """Where a sentence begins between `low` and `high`, or `low`."""
    starts = [position + 1 for position in range(low, high) if text[position] in STOPS + "\n"]
    return starts[0] if starts else low


def _make_paragraph(line: str, spans: Sequence[Span], *, is_in_passage: bool, is_target: bool) -> Paragraph | None:
    """None for the rule between a table's header and body, unless the passage begins with it."""
    if _TABLE_RULE.fullmatch(line) and not is_target:
        return None
    return Paragraph(split_runs(line, spans), is_in_passage, is_target, is_heading(line), _split_cells(line, spans))


def _split_cells(line: str, spans: Sequence[Span]) -> tuple[tuple[Run, ...], ...]:
    """The cells of `| a | b |`; none for any other line."""
    bars = [match.start() for match in re.finditer(r"(?<!\\)\|", line)]
    stripped = line.strip()
    if len(bars) < 3 or not (stripped.startswith("|") and stripped.endswith("|")):
        return ()
    return tuple(
        split_runs(line[a + 1 : b], [(start - a - 1, end - a - 1) for start, end in spans]) for a, b in pairwise(bars)
    )


def _window(text: str, passage: Span | None) -> Span:
    if len(text) <= MAX_WHOLE_TEXT:
        return 0, len(text)
    start, end = passage or (0, 0)
    first = max(0, start - WINDOW)
    last = min(len(text), end + WINDOW)
    before = text.rfind("\n", 0, first) + 1 if first else 0
    after = text.find("\n", last)
    return before, len(text) if after < 0 else after


def _lines(text: str, window: Span) -> Iterable[Span]:
    """Spans of the lines of a window that hold more than white space."""
    position, until = window
    while position < until:
        newline = text.find("\n", position, until)
        end = until if newline < 0 else newline
        if text[position:end].strip():
            yield position, end
        position = end + 1
