"""What each step of finding is worth: the first stage's figures with one step left out at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date

from hotline.evaluation.corpus import Corpus
from hotline.evaluation.data import Question
from hotline.evaluation.metrics import average, judge_order
from hotline.first_stage import choose_wordings, search_wordings
from hotline.understanding import Wording
from kb.live_dictionaries import get_live_rules
from kb.retrieval import DEFAULT_PLAN, FusionPlan
from kb.search.types import SearchFilter

SHOWN = ("recall@20", "recall@50", "top1")
Choose = Callable[[str], list[Wording]]


def list_steps(corpus: Corpus, questions: Sequence[Question]) -> Iterator[str]:
    """A line for each step and set, as they are measured."""
    names = ["all", *dict.fromkeys(question.set_name for question in questions if question.set_name)]
    for label, choose, plan in _steps():
        rows = [
            (question.set_name, judge_order(_find(corpus, choose(question.text), plan), question.right_ids))
            for question in questions
        ]
        for name in names:
            figures = average(row for own, row in rows if name in {"all", own}) or {}
            yield f"{label:<24}{name:<8}" + "".join(f"{figures[measure]:>11.1f}" for measure in SHOWN)


def _steps() -> Iterator[tuple[str, Choose, FusionPlan]]:
    rules = get_live_rules()

    def usual(text: str) -> list[Wording]:
        return choose_wordings(text, rules=rules).wordings

    yield "usual", usual, DEFAULT_PLAN
    yield "no understanding", lambda text: [Wording("original", text)], DEFAULT_PLAN
    yield "no rewrites", lambda text: choose_wordings(text, "none", rules=rules).wordings, DEFAULT_PLAN
    for kind in ("synonyms", "expanded"):
        yield f"no {kind}", lambda text, kind=kind: _without(usual(text), kind), DEFAULT_PLAN  # type: ignore[misc]
    yield "no passage_sum", usual, replace(DEFAULT_PLAN, sum_weight=0.0)
    for ranking in DEFAULT_PLAN.rankings:
        kept = tuple(other for other in DEFAULT_PLAN.rankings if other is not ranking)
        yield f"no {ranking.name}", usual, replace(DEFAULT_PLAN, rankings=kept)


def _without(wordings: Sequence[Wording], kind: str) -> list[Wording]:
    return [replace(wording, if_weak=wording.if_weak and wording.kind != kind) for wording in wordings]


def _find(corpus: Corpus, wordings: Sequence[Wording], plan: FusionPlan) -> list[str]:
    search_filter = SearchFilter(as_of=date.today())  # noqa: DTZ011  # everything is in force
    found = search_wordings(corpus.engine, wordings, search_filter, plan=plan, index=corpus.index)
    return [corpus.documents[hit.version_id - 1].id for hit in found.documents]
