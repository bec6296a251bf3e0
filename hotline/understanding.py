"""From a question to the wordings that are searched: what kb.query_understanding says, as the desk stores it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from kb.query_understanding import Rules, Understanding, load_default_rules, understand

LONG_QUESTION = 200  # characters: from here on what names the matter is searched, not every word
FUSED_KINDS: frozenset[str] = frozenset()  # rewrites that are searched unasked; the others are offered


@dataclass(frozen=True, slots=True)
class Wording:
    """One row of a lookup's variants; the first is what is searched, reranked and highlighted."""

    kind: str
    text: str
    explanation: str = ""
    is_used: bool = True


def understand_question(question: str, *, chosen: Collection[str] | None = None) -> list[Wording]:
    """The question as it is searched, then its rewrites. `chosen`: the texts that shall be searched too

    (None: those that help unasked).
    """
    understood = understand(question, get_rules())
    first, *rest = _list_wordings(question, understood)
    used = {wording.text for wording in rest if wording.kind in FUSED_KINDS} if chosen is None else set(chosen)
    return [first, *(Wording(w.kind, w.text, w.explanation, w.text in used) for w in rest)]


@lru_cache(maxsize=1)
def get_rules() -> Rules:
    return load_default_rules()


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
