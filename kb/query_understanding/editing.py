"""A question on its way: its text, and the steps that were made to it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from kb.query_understanding.meaning import read_meaning
from kb.query_understanding.traced import Replacement, TracedText
from kb.query_understanding.types import Step


@dataclass(frozen=True, slots=True)
class Draft:
    """`without`: kinds and keys of steps that are not to be made."""

    traced: TracedText
    steps: tuple[Step, ...] = ()
    without: frozenset[str] = frozenset()

    @classmethod
    def of(cls, question: str, without: Collection[str] = ()) -> "Draft":
        return cls(TracedText(question), (), frozenset(without))

    @property
    def text(self) -> str:
        return self.traced.text

    def edit(self, kind: str, reason: str, replacements: Iterable[Replacement], *, free: bool = False) -> "Draft":
        """With the replacements made, in order, and a step noted for each.

        All are dropped where together they would change a negation or a number, unless `free`.
        """
        made = [change for change in replacements if not self._is_unwanted(kind, change)]
        changed = self.traced.replace(made)
        if not made or not changed.text.strip():
            return self
        if not free and read_meaning(changed.text) != read_meaning(self.text):
            return self
        steps = tuple(self._note(kind, reason, change) for change in made)
        return replace(self, traced=changed, steps=self.steps + steps)

    def keep(self, kind: str, name: str, reason: str, spans: Iterable[tuple[int, int]]) -> "Draft":
        """With nothing but some stretches, in order, noted as one step; `name` stands for what was before."""
        if kind in self.without or f"{kind}:{name}" in self.without:
            return self
        gaps, at = [], 0
        for start, end in spans:
            gaps.append(Replacement(at, start, ""))
            at = end
        kept = self.traced.replace([*gaps, Replacement(at, len(self.text), "")])
        step = Step(kind, name, kept.text, reason, *self.traced.origin(0, len(self.text)))
        return replace(self, traced=kept, steps=(*self.steps, step)) if kept.text.strip() else self

    def _is_unwanted(self, kind: str, change: Replacement) -> bool:
        before = self.text[change.start : change.end]
        return before == change.after or kind in self.without or f"{kind}:{before}" in self.without

    def _note(self, kind: str, reason: str, change: Replacement) -> Step:
        start, end = self.traced.origin(change.start, change.end)
        return Step(kind, self.text[change.start : change.end], change.after, reason, start, end)
