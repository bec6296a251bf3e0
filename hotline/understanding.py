"""From a question to the wordings that are searched: what kb.query_understanding says, as the desk stores it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kb.live_dictionaries import get_live_rules
from kb.query_understanding import Rarity, Rules, Step, Understanding, understand

LONG_QUESTION = 200  # characters: from here on what names the matter is searched, not every word
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
) -> UnderstoodQuestion:
    """`chosen`: the rewrites that shall be searched too (None: where the first search is weak, those of FUSED_KINDS).

    `without`: keys of steps that the agent removed. `rules` None: the live ones. `rarity`: of the
    corpus that will be searched.
    """
    rules = get_live_rules() if rules is None else rules
    understood = understand(question, rules, rarity=rarity, without=without)
    first, *rest = _list_wordings(question, understood)
    used = set(chosen or ())
    wordings = [
        first,
        *(replace(w, is_used=w.text in used, if_weak=chosen is None and w.kind in FUSED_KINDS) for w in rest),
    ]
    steps = {step.key: step for step in understood.steps}
    return UnderstoodQuestion(wordings, tuple(steps.values()), understood.versions)


def mark_searched(wordings: Sequence[Wording], variants: Collection[str]) -> list[Wording]:
    """The wordings, with those used that were searched in the end."""
    first, *rest = wordings
    return [first, *(replace(wording, is_used=wording.text in variants) for wording in rest)]


def _list_wordings(question: str, understood: Understanding) -> Iterator[Wording]:
    variants = list(understood.variants)
    focus = next((variant for variant in variants if variant.kind == "focus"), None)
    if focus and len(understood.cleaned) > LONG_QUESTION:
        variants.remove(focus)
        yield Wording("focus", focus.text, focus.explanation)
        yield Wording("cleaned", understood.cleaned, "净化后的全文")
    elif understood.cleaned and understood.cleaned != question:
        yield Wording("cleaned", understood.cleaned, _explain_cleaning(question, understood))
        yield Wording("original", question, "原话")
    else:
        yield Wording("original", question)
    for variant in variants:
        yield Wording(variant.kind, variant.text, variant.explanation)


def _explain_cleaning(question: str, understood: Understanding) -> str:
    changes = (f"{step.before}→{step.after or '（略）'}" for step in understood.steps if step.before in question)
    return "净化：" + "；".join(dict.fromkeys(changes))
