"""What each step of finding is worth: the first stage's figures with one step left out at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from hotline.evaluation.corpus import Corpus
from hotline.evaluation.data import Question
from hotline.evaluation.metrics import average, judge_order
from hotline.evaluation.report import FEWEST_JUDGED
from hotline.first_stage import choose_wordings, search_wordings
from hotline.understanding import CLEANING, FUSED_KINDS, Wording
from kb.live_dictionaries import get_live_rules
from kb.query_understanding import Rarity, Rules
from kb.rarity import make_rarity
from kb.retrieval import DEFAULT_PLAN, FusionPlan
from kb.search.types import SearchFilter

SHOWN = ("recall@20", "recall@50", "top1")
MOST_HARM = 0.5  # points of Recall@50 that a step may cost a set that is large enough to be judged
WORDING = ("spoken", "abbreviation", "synonym", "subject", "question_form", "focus", "place")
OFFERED = "policy_form"
Choose = Callable[[str], list[Wording]]
Rows = list[dict[str, float]]


@dataclass(frozen=True, slots=True)
class Step:
    """`choose` and `plan` without the step; `is_extra`: with it, because it is not made as a rule."""

    name: str
    choose: Choose
    plan: FusionPlan = DEFAULT_PLAN
    is_extra: bool = False


@dataclass(slots=True)
class _Finder:
    """Judges questions; what was searched before is not searched again."""

    corpus: Corpus
    found: dict[tuple[object, ...], list[str]] = field(default_factory=dict)

    def judge(self, questions: Sequence[Question], choose: Choose, plan: FusionPlan) -> Rows:
        return [judge_order(self._find(choose(question.text), plan), question.right_ids) for question in questions]

    def _find(self, wordings: Sequence[Wording], plan: FusionPlan) -> list[str]:
        key = (plan, *((w.text, w.is_used, w.if_weak) for w in wordings if w.is_used or w.if_weak))
        if key not in self.found:
            search_filter = SearchFilter(as_of=date.today())  # noqa: DTZ011  # everything is in force
            corpus = self.corpus
            result = search_wordings(corpus.engine, wordings, search_filter, plan=plan, index=corpus.index)
            self.found[key] = [corpus.documents[hit.version_id - 1].id for hit in result.documents]
        return self.found[key]


def list_steps(corpus: Corpus, questions: Sequence[Question]) -> Iterator[str]:
    """A line for each step and set, as they are measured: figures without the step, and what it does to Recall@50.

    A step that takes more than MOST_HARM points from a set of FEWEST_JUDGED questions or more is marked.
    """
    finder, rules, rarity = _Finder(corpus), get_live_rules(), make_rarity(corpus.engine, corpus.index)
    usual = _choose(rules, rarity)
    rows = finder.judge(questions, usual, DEFAULT_PLAN)
    yield f"{'':<28}{'set':<8}" + "".join(f"{measure:>11}" for measure in SHOWN) + f"{'effect':>9}"
    yield from (line for line, _ in _compare("usual", questions, rows, rows, is_extra=False))
    for step in _list_variations(rules, rarity, usual):
        others = finder.judge(questions, step.choose, step.plan)
        compared = list(_compare(step.name, questions, rows, others, is_extra=step.is_extra))
        yield from (line for line, _ in compared)
        if any(is_harmful for _, is_harmful in compared):
            yield f"! {step.name}: 使某个问题集的 Recall@50 下降超过 {MOST_HARM} 个百分点"


def _compare(
    name: str, questions: Sequence[Question], usual: Rows, others: Rows, *, is_extra: bool
) -> Iterator[tuple[str, bool]]:
    """A line for each set, and whether the step harms it."""
    sets = ["all", *dict.fromkeys(question.set_name for question in questions if question.set_name)]
    for set_name in sets:
        chosen = [n for n, question in enumerate(questions) if set_name in {"all", question.set_name}]
        before: Mapping[str, float] = average(usual[n] for n in chosen) or {}
        figures: Mapping[str, float] = average(others[n] for n in chosen) or {}
        effect = (before["recall@50"] - figures["recall@50"]) * (-1 if is_extra else 1)
        is_harmful = len(chosen) >= FEWEST_JUDGED and effect < -MOST_HARM
        shown = "".join(f"{figures[measure]:>11.1f}" for measure in SHOWN)
        yield f"{name:<28}{set_name:<8}{shown}{effect:>+9.2f}{'  !' if is_harmful else ''}", is_harmful


def _choose(rules: Rules, rarity: Rarity, rewrites: str = "default", without: Sequence[str] = ()) -> Choose:
    return lambda text: choose_wordings(text, rewrites, without=without, rules=rules, rarity=rarity).wordings


def _list_variations(rules: Rules, rarity: Rarity, usual: Choose) -> Iterator[Step]:
    yield Step("no understanding", lambda text: [Wording("original", text)])
    yield Step("no cleaning", _choose(rules, rarity, without=sorted(CLEANING)))
    for kind in (*sorted(CLEANING), *WORDING):
        yield Step(f"no {kind}", _choose(rules, rarity, without=(kind,)))
    for kind in sorted(FUSED_KINDS):
        yield Step(f"no rewrite {kind}", _search_beside(usual, FUSED_KINDS - {kind}))
    yield Step(f"with rewrite {OFFERED}", _search_beside(usual, FUSED_KINDS | {OFFERED}), is_extra=True)
    yield Step("no second search", _choose(rules, rarity, "none"))
    yield Step("second search always", _choose(rules, rarity, "always"), is_extra=True)
    yield Step("no passage_sum", usual, replace(DEFAULT_PLAN, sum_weight=0.0))
    level = tuple(replace(ranking, weight=1.0) for ranking in DEFAULT_PLAN.rankings)
    yield Step("no rank weights", usual, replace(DEFAULT_PLAN, rankings=level, variant_weight=1.0))
    for ranking in DEFAULT_PLAN.rankings:
        kept = tuple(other for other in DEFAULT_PLAN.rankings if other is not ranking)
        yield Step(f"no {ranking.name}", usual, replace(DEFAULT_PLAN, rankings=kept))


def _search_beside(choose: Choose, kinds: frozenset[str]) -> Choose:
    """Rewrites of these kinds where the first search is weak."""
    return lambda text: [
        wording if place == 0 else replace(wording, if_weak=wording.kind in kinds)
        for place, wording in enumerate(choose(text))
    ]
