"""The first stage of every question: choose its wordings, find documents. For desk, trials and evaluation alike."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from django.conf import settings

from hotline.errors import SearchUnavailable, UnknownIndex
from hotline.semantic_recall import SemanticRecall, recall_by_meaning
from hotline.understanding import UnderstoodQuestion, Wording, mark_searched, read_question
from kb.engine import get_search_engine
from kb.query_understanding import Rarity, Rules
from kb.rarity import make_rarity
from kb.retrieval import DEFAULT_PLAN, DocumentHit, FirstStageResult, FusionPlan, Ranked, retrieve
from kb.search.types import IndexMissing, SearchEngineError, SearchFilter, SearchReader


@dataclass(frozen=True, slots=True)
class FoundDocuments:
    """Documents best first, and the wordings with those used that were searched in the end.

    `index`: which was asked; `embedder`: the revision that recalled by meaning. `milliseconds`: of first_stage, and of
    semantic where recall by meaning is on.
    """

    documents: tuple[DocumentHit, ...]
    wordings: tuple[Wording, ...]
    index: str
    notices: tuple[str, ...]
    milliseconds: Mapping[str, float]
    rankings: tuple[Ranked, ...]
    embedder: str = ""


def choose_wordings(
    question: str,
    rewrites: str = "default",
    *,
    chosen: Collection[str] | None = None,
    without: Collection[str] = (),
    offered: Sequence[Wording] = (),
    rules: Rules | None = None,
    rarity: Rarity | None = None,
    index: str = "",
    region: str = "",
) -> UnderstoodQuestion:
    """The question understood, its wordings marked with what shall be searched.

    `chosen`: the rewrites that somebody switched on. Where nobody chose (None), `rewrites` decides: default (those
    that help, where the first search is weak), none, or always (all). `without`: keys of steps that are not made.
    `offered`: rewrites beside those by rules. `rules` None: the live ones. `rarity` None: that
    of `index`, or of the live one. `region`: the ticket's, which counts where the question names no place.
    """
    rarity = rarity or make_rarity(get_search_engine(), index or None)
    if chosen is None and rewrites == "none":
        chosen = ()
    read = read_question(question, chosen=chosen, without=without, rules=rules, rarity=rarity, region=region)
    said = {wording.text for wording in read.wordings}
    added = [replace(item, is_used=item.text in (chosen or ())) for item in offered if item.text not in said]
    wordings = [*read.wordings, *added]
    if chosen is None and rewrites == "always":
        wordings = [replace(wording, is_used=True) for wording in wordings]
    return replace(read, wordings=wordings)


def find_documents(
    wordings: Sequence[Wording],
    search_filter: SearchFilter,
    *,
    plan: FusionPlan = DEFAULT_PLAN,
    index: str = "",
    semantic: str = "default",
) -> FoundDocuments:
    """What the wordings find in the live index or the one named, by words and, where it is on, by meaning.

    `semantic`: default (as the deployment has it) or none. Raises SearchUnavailable, and UnknownIndex
    where the one named is missing.
    """
    meant = SemanticRecall() if semantic == "none" else recall_by_meaning(wordings[0].text, search_filter)
    began = time.perf_counter()
    try:
        found = search_wordings(
            get_search_engine(), wordings, search_filter, plan=plan, index=index or None, extra_rankings=meant.rankings
        )
    except SearchEngineError as error:
        if index and isinstance(error, IndexMissing):
            raise UnknownIndex(index) from error
        raise SearchUnavailable from error
    seconds = {"first_stage": time.perf_counter() - began}
    if meant.seconds is not None:
        seconds["semantic"] = meant.seconds
    return FoundDocuments(
        documents=found.documents,
        wordings=tuple(mark_searched(wordings, found.variants)),
        index=found.index,
        notices=meant.notices,
        milliseconds={name: round(1000 * value, 1) for name, value in seconds.items()},
        rankings=found.rankings,
        embedder=meant.embedder,
    )


def search_wordings(
    engine: SearchReader,
    wordings: Sequence[Wording],
    search_filter: SearchFilter,
    *,
    plan: FusionPlan = DEFAULT_PLAN,
    index: str | None = None,
    extra_rankings: Sequence[Ranked] = (),
) -> FirstStageResult:
    """The first wording, with it those that are used, and those `if_weak` where it leaves doubt.

    Raises SearchEngineError.
    """
    used = [wording.text for wording in wordings if wording.is_used]
    return retrieve(
        engine,
        used[0],
        search_filter,
        limit=settings.CANDIDATE_LIMIT,
        variants=used[1:],
        if_weak=[wording.text for wording in wordings if wording.if_weak],
        plan=plan,
        index=index,
        extra_rankings=extra_rankings,
    )
