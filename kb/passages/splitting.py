"""Pack units into passages: each as full as it may be, cut where the text itself is cut.

Which run of units makes a passage is chosen for the whole text at once, by dynamic programming: the sum over passages
of the square of the unfilled share, plus a price for the place of each cut. A cut before a chapter is welcome, one
before an article free, one inside an article dear, one after a heading dearest.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from kb.passages.headings import walk_headings
from kb.passages.markers import Level, Marker
from kb.passages.sentences import Unit, is_bare_heading, split_units

PASSAGE_SCHEME = 1
"""Goes up with every change that moves a cut; passages of different schemes are never mixed in one version."""

_MARKER_PRICE = {
    Level.PART: -0.3,
    Level.CHAPTER: -0.2,
    Level.SECTION: -0.1,
    Level.ENUMERATED: -0.1,
    Level.ARTICLE: -0.05,
    Level.ITEM: 0.08,
    Level.NUMBER: 0.12,
    Level.SUBNUMBER: 0.15,
}
_ROW_PRICE = 0.1
_LINE_PRICE = 0.15
_SENTENCE_PRICE = 0.25
_AFTER_HEADING_PRICE = 1.0
_INSIDE_SENTENCE_PRICE = 0.5
_INSIDE_ARTICLE_PRICE = 0.3
_END = Marker(Level.PART, "")


@dataclass(frozen=True, slots=True)
class PassageSpan:
    """A passage as offsets into its text.

    `ordinal` counts from 0; `page` from 1 (None where the file has no pages): the page on which the passage begins;
    `heading_path` is where its first sentence that is no mere heading lies, from the outside in; `header` is the
    table header that belongs above it where it begins inside a table.
    """

    ordinal: int
    start: int
    end: int
    heading_path: tuple[str, ...]
    page: int | None
    header: str = ""

    def body(self, text: str) -> str:
        """What the passage covers, exactly as in the text that was split."""
        return text[self.start : self.end]

    def indexed_text(self, text: str) -> str:
        """The body under its repeated table header: what is searched and reranked."""
        return f"{self.header}\n{self.body(text)}" if self.header else self.body(text)


def split_passages(text: str, *, page_starts: Sequence[int] = (), size: int = 300) -> list[PassageSpan]:
    """Cut `text` into passages of at most about `size` characters.

    `page_starts[i]` is the offset at which page i + 1 begins. Passages are in order, do not overlap and hold all that
    is not white space. A sentence is never cut unless it is longer than twice `size`; one longer than `size` is a
    passage of its own. Raises ValueError where `size` is not positive.
    """
    if size < 1:
        raise ValueError("size must be positive")
    units = split_units(text, limit=2 * size)
    headings = list(walk_headings(text, units))
    markers = [marker for marker, _ in headings]
    prices = _cut_prices(text, units, markers)
    _protect_articles(units, markers, prices, size)
    spans: list[PassageSpan] = []
    for first, past in _choose_runs(units, prices, size):
        start = units[first].start
        page = bisect_right(page_starts, start) or 1 if page_starts else None
        named = next((index for index in range(first, past) if not is_bare_heading(text, units[index])), first)
        path = headings[named][1]
        spans.append(PassageSpan(len(spans), start, units[past - 1].end, path, page, units[first].header))
    return spans


def _cut_prices(text: str, units: Sequence[Unit], markers: Sequence[Marker | None]) -> list[float]:
    """The price of a cut before each unit, in the currency of `_choose_runs`."""
    prices = []
    after_heading = False
    for unit, marker in zip(units, markers, strict=True):
        prices.append(_cut_price(unit, marker) + (_AFTER_HEADING_PRICE if after_heading else 0.0))
        after_heading = is_bare_heading(text, unit)
    return prices


def _protect_articles(units: Sequence[Unit], markers: Sequence[Marker | None], prices: list[float], size: int) -> None:
    """Raise the price of every cut inside an article that fits into a passage as a whole."""
    first = None
    for index, marker in enumerate([*markers, _END]):
        if marker is None or marker.level > Level.ARTICLE:
            continue
        if first is not None and units[index - 1].end - units[first].start <= size:
            for inside in range(first + 1, index):
                prices[inside] += _INSIDE_ARTICLE_PRICE
        first = index if marker.level == Level.ARTICLE else None


def _cut_price(unit: Unit, marker: Marker | None) -> float:
    if unit.continues:
        return _INSIDE_SENTENCE_PRICE
    if marker is not None:
        return _MARKER_PRICE[marker.level]
    if unit.is_row:
        return 0.0 if unit.is_header else _ROW_PRICE
    return _LINE_PRICE if unit.starts_line else _SENTENCE_PRICE


def _choose_runs(units: Sequence[Unit], prices: Sequence[float], size: int) -> list[tuple[int, int]]:
    """The cheapest division of the units into runs `(first, past)`, each within `size` or a single unit."""
    starts = [unit.start for unit in units]
    header_sizes = [len(unit.header) for unit in units]
    cost = [0.0]
    previous = [0]
    for past, unit in enumerate(units, start=1):
        best, best_first = float("inf"), past - 1
        for first in range(past - 1, -1, -1):
            length = unit.end - starts[first]
            if length > size and first != past - 1:
                break
            unfilled = max(0.0, 1 - (length + header_sizes[first]) / size)
            candidate = cost[first] + prices[first] + unfilled * unfilled
            if candidate < best:
                best, best_first = candidate, first
        cost.append(best)
        previous.append(best_first)
    runs = []
    past = len(units)
    while past:
        runs.append((previous[past], past))
        past = previous[past]
    return runs[::-1]
