"""From a question to the wordings that are searched: what kb.query_understanding says, as the desk stores it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kb.live_dictionaries import get_live_rules
from kb.query_understanding import Rarity, Rules, Step, Understanding, understand

CLEANING = frozenset({"width", "noise", "traditional", "repetition", "filler", "typing_error"})
FUSED_KINDS = frozenset({"synonyms", "expanded"})  # searched unasked where the first search is weak; others are offered


@dataclass(frozen=True, slots=True)
class Wording:
    """One row of a lookup's variants; the first is what is searched, reranked and highlighted.

    `is_used`: it is searched. `if_weak`: it shall be where the first search leaves doubt.
    """

    kind: str
    text: str
    explanation: str = ""
    is_used: bool = True
    if_weak: bool = False


@dataclass(frozen=True, slots=True)
class UnderstoodQuestion:
    """The wordings, the steps that led to them (each key once), and the versions of the dictionaries."""

    wordings: list[Wording]
    steps: tuple[Step, ...]
    rule_versions: Mapping[str, str]

    @property
    def place_names(self) -> list[str]:
        """The places whose policies are preferred."""
        return list_place_names([asdict(step) for step in self.steps])


def understand_question(
    question: str, *, chosen: Collection[str] | None = None, rules: Rules | None = None, rarity: Rarity | None = None
) -> list[Wording]:
    """The question as it is searched, then its rewrites; see `read_question`."""
    return read_question(question, chosen=chosen, rules=rules, rarity=rarity).wordings


def read_question(
    question: str,
    *,
    chosen: Collection[str] | None = None,
    without: Collection[str] = (),
    rules: Rules | None = None,
    rarity: Rarity | None = None,
    region: str = "",
) -> UnderstoodQuestion:
    """`chosen`: the rewrites that shall be searched too (None: where the first search is weak, those of FUSED_KINDS).

    `without`: keys of steps that the agent removed. `rules` None: the live ones. `rarity`: of the
    corpus that will be searched. `region`: the ticket's, which counts where the question names no place.
    """
    rules = get_live_rules() if rules is None else rules
    understood = understand(question, rules, rarity=rarity, without=without, region=region)
    first, *rest = _list_wordings(question, understood)
    used = set(chosen or ())
    wordings = [
        first,
        *(replace(w, is_used=w.text in used, if_weak=chosen is None and w.kind in FUSED_KINDS) for w in rest),
    ]
    steps: dict[str, Step] = {}
    for step in understood.steps:
        steps.setdefault(step.key, step)
    return UnderstoodQuestion(wordings, tuple(steps.values()), understood.versions)


def list_place_names(steps: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of a question's steps, as a lookup stores them, the places whose policies are preferred."""
    return [step["before"] for step in steps if step["kind"] == "place"]


def mark_searched(wordings: Sequence[Wording], variants: Collection[str]) -> list[Wording]:
    """The wordings, with those used that were searched in the end."""
    first, *rest = wordings
    return [first, *(replace(wording, is_used=wording.text in variants) for wording in rest)]


def _list_wordings(question: str, understood: Understanding) -> Iterator[Wording]:
    if understood.searched != understood.cleaned:
        yield Wording("focus", understood.searched, "诉求要点：从长文中取出最能说明诉求的句子")
        yield Wording("cleaned", understood.cleaned, "净化后的全文")
    elif understood.cleaned and understood.cleaned != question:
        yield Wording("cleaned", understood.cleaned, _explain_cleaning(understood))
        yield Wording("original", question, "原话")
    else:
        yield Wording("original", question)
    for variant in understood.variants:
        yield Wording(variant.kind, variant.text, variant.explanation)


def _explain_cleaning(understood: Understanding) -> str:
    steps = (step for step in understood.steps if step.kind in CLEANING)
    return "净化：" + "；".join(dict.fromkeys(f"{step.before}→{step.after or '（略）'}" for step in steps))
