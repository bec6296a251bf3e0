"""A text that remembers where in the original each of its characters came from."""

from collections.abc import Iterable
from typing import NamedTuple


class Replacement(NamedTuple):
    """`after` in the place of the current text's characters `start` to `end`."""

    start: int
    end: int
    after: str


class TracedText:
    """Immutable; `origins[i]` is the span of the original that character i stands for."""

    __slots__ = ("origins", "text")

    def __init__(self, text: str, origins: list[tuple[int, int]] | None = None) -> None:
        self.text = text
        self.origins = [(i, i + 1) for i in range(len(text))] if origins is None else origins

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that `text[start:end]` stands for."""
        if start >= end:
            at = self.origins[start][0] if start < len(self.origins) else self._length
            return at, at
        return self.origins[start][0], self.origins[end - 1][1]

    @property
    def _length(self) -> int:
        return self.origins[-1][1] if self.origins else 0

    def replace(self, replacements: Iterable[Replacement]) -> "TracedText":
        """With all replacements made; they come in order and do not overlap."""
        parts: list[str] = []
        origins: list[tuple[int, int]] = []
        at = 0
        for start, end, after in replacements:
            parts += [self.text[at:start], after]
            origins += self.origins[at:start]
            origins += self.origins[start:end] if len(after) == end - start else [self.origin(start, end)] * len(after)
            at = end
        return TracedText("".join(parts) + self.text[at:], origins + self.origins[at:])
