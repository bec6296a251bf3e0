"""Asking a question: mask it, understand it, search, store the lookup with its candidates, ring for the reranker."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from hotline import tasks
from hotline.candidates import list_place_features
from hotline.first_stage import FoundDocuments, choose_wordings, find_documents
from hotline.live_settings import get_live_settings
from hotline.models import APIKey, Lookup, QueryVariant, Result, ResultPassage, SecondaryReview, Ticket, User
from hotline.services.result_passages import store_first_passages
from hotline.services.tickets import clean_question
from hotline.understanding import UnderstoodQuestion, Wording, list_place_names, read_question
from kb.engine import get_search_engine
from kb.live_dictionaries import get_live_rules
from kb.models import DocumentVersion, IndexVersion, Passage
from kb.query_understanding import NamedPlace, Rules, name_places
from kb.retrieval import DocumentHit
from kb.search.types import SearchFilter
from kb.selectors import load_passages, load_versions
from kb.tasks import enqueue

NOTHING_FOUND = "nothing_found"
MODEL = "model_"  # before the kind of a rewrite that a language model made


@dataclass(frozen=True, slots=True)
class Filters:
    """What may be found. `include_not_in_force`: whatever its status on the day."""

    regions: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    include_not_in_force: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Filters:
        return cls(
            regions=tuple(data.get("regions", ())),
            levels=tuple(data.get("levels", ())),
            categories=tuple(data.get("categories", ())),
            include_not_in_force=bool(data.get("include_not_in_force", False)),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "regions": list(self.regions),
            "levels": list(self.levels),
            "categories": list(self.categories),
            "include_not_in_force": self.include_not_in_force,
        }


def start_lookup(
    *,
    question: str,
    by: User | None,
    ticket: Ticket | None = None,
    as_of: date | None = None,
    filters: Filters | Mapping[str, Any] | None = None,
    variant_texts: Sequence[str] | None = None,
    without: Collection[str] = (),
    offered: Sequence[Wording] = (),
    instruction: str = "",
    api_key: APIKey | None = None,
) -> Lookup:
    """Search now, rerank soon: the lookup comes back with its first-stage results, waiting for the reranker.

    `variant_texts`: the wordings the agent left switched on (None: the usual ones). `without`: keys of steps that the
    agent removed. `offered`: rewrites beside those by rules. Raises EmptyQuestion, QuestionTooLong, SearchUnavailable.
    """
    began = time.perf_counter()
    question = clean_question(question)
    wanted = filters if isinstance(filters, Filters) else Filters.from_json(filters or {})
    as_of = as_of or timezone.localdate()
    live = get_live_settings()
    region = ticket.region if ticket else ""
    read = choose_wordings(
        question, live.rewrites, chosen=variant_texts, without=without, offered=offered, region=region
    )
    understanding = round(1000 * (time.perf_counter() - began), 1)
    search_filter = build_search_filter(wanted, as_of, departments=readable_departments(by, api_key))
    found = find_documents(read.wordings, search_filter, plan=live.build_plan(), semantic=live.semantic)
    lookup = Lookup(ticket=ticket, question=question, as_of=as_of, asked_by=by, without=list(without))
    lookup.filters = wanted.to_json()
    lookup.instruction = instruction or live.instruction or (ticket.category if ticket else "")
    lookup.rewrites_chosen = variant_texts is not None
    lookup.milliseconds = {"understanding": understanding, **found.milliseconds}
    _store(lookup, read, found)
    return lookup


def ask_again(
    *,
    lookup: Lookup,
    by: User,
    variant_texts: Sequence[str] | None = None,
    without: Collection[str] | None = None,
) -> Lookup:
    """The lookup's question once more, as a lookup of its own; what is None stays as it was. Raises SearchUnavailable.

    Where steps are removed the rewrites read otherwise: those that somebody switched on stay so by their kind.
    """
    without = lookup.without if without is None else without
    variants = lookup.variants.filter(ordinal__gt=0)
    offered = [Wording(v.kind, v.text, v.explanation, v.is_used) for v in variants if v.kind.startswith(MODEL)]
    if variant_texts is None and lookup.rewrites_chosen:
        kinds = {variant.kind for variant in variants if variant.is_used}
        wordings = [*read_question(lookup.question, without=without).wordings[1:], *offered]
        variant_texts = [wording.text for wording in wordings if wording.kind in kinds]
    return start_lookup(
        question=lookup.question,
        by=by,
        ticket=lookup.ticket,
        as_of=lookup.as_of,
        filters=lookup.filters,
        variant_texts=variant_texts,
        without=without,
        offered=offered,
        instruction=lookup.instruction,
    )


def store_variants(lookup: Lookup, wordings: Sequence[Wording], *, first: int = 0) -> None:
    """As the lookup's wordings, numbered from `first`."""
    QueryVariant.objects.bulk_create(
        QueryVariant(
            lookup=lookup,
            ordinal=ordinal,
            kind=wording.kind,
            text=wording.text,
            explanation=wording.explanation,
            is_used=wording.is_used,
        )
        for ordinal, wording in enumerate(wordings, start=first)
    )


def build_search_filter(filters: Filters, as_of: date, *, departments: tuple[str, ...] | None) -> SearchFilter:
    return SearchFilter(
        as_of=None if filters.include_not_in_force else as_of,
        regions=filters.regions,
        levels=filters.levels,
        categories=filters.categories,
        departments=departments,
    )


def readable_departments(user: User | None, api_key: APIKey | None = None) -> tuple[str, ...] | None:
    """None: everything. A person or key without a department reads what is for everyone."""
    if user and (user.is_superuser or user.has_perm("kb.manage_knowledge")):
        return None
    department = user.department if user else api_key.department if api_key else None
    return (department.code,) if department else ()


@transaction.atomic
def _store(lookup: Lookup, read: UnderstoodQuestion, found: FoundDocuments) -> None:
    """The lookup with how it was understood and what was found; the reranker hears of it on commit."""
    lookup.engine = get_search_engine().name
    lookup.index_version = IndexVersion.objects.filter(name=found.index).first()
    lookup.notices = list(found.notices)
    lookup.steps = [{"key": step.key, **asdict(step)} for step in read.steps]
    lookup.rule_versions = dict(read.rule_versions)
    lookup.save(force_insert=True)
    store_variants(lookup, found.wordings)
    _store_candidates(lookup, found.wordings[0].text, found.documents)
    if not found.documents:
        _finish_empty(lookup)
    enqueue(tasks.rerank_waiting_lookups)


def _store_candidates(lookup: Lookup, question: str, documents: Sequence[DocumentHit]) -> None:
    """A version or passage that left the database since it was indexed is left out."""
    rules = get_live_rules()
    asked = name_places(list_place_names(lookup.steps), rules)
    versions = load_versions(hit.version_id for hit in documents)
    passages = load_passages(item.passage_id for hit in documents for item in hit.passages)
    kept = [hit for hit in documents if hit.version_id in versions and hit.passages[0].passage_id in passages]
    results = Result.objects.bulk_create(
        Result(
            lookup=lookup,
            version=versions[hit.version_id],
            first_stage_rank=rank,
            first_stage_score=hit.score,
            rank=rank,
            features=_list_features(hit, versions[hit.version_id], asked, rules),
        )
        for rank, hit in enumerate(kept, start=1)
    )
    found = {result.pk: _make_passage_rows(result, hit, passages) for result, hit in zip(results, kept, strict=True)}
    store_first_passages(question, results, found)


def _list_features(
    hit: DocumentHit, version: DocumentVersion, asked: Sequence[NamedPlace], rules: Rules
) -> dict[str, float]:
    """Kept with the result, so that what is learned later rests on what was scored, whatever the dictionaries then."""
    places = list_place_features(asked, title=version.title, region=version.region, rules=rules)
    return {**{name: round(value, 6) for name, value in hit.features.items()}, **places}


def _make_passage_rows(result: Result, hit: DocumentHit, passages: Mapping[int, Passage]) -> list[ResultPassage]:
    kept = [item for item in hit.passages if item.passage_id in passages]
    return [
        ResultPassage(result=result, passage=passages[item.passage_id], ordinal=ordinal, score=item.score)
        for ordinal, item in enumerate(kept)
    ]


def _finish_empty(lookup: Lookup) -> None:
    """Nothing to rerank: straight to the review desk."""
    lookup.state = Lookup.State.DONE
    lookup.finished_at = timezone.now()
    lookup.reasons = [NOTHING_FOUND]
    lookup.save()
    SecondaryReview.objects.create(lookup=lookup)
