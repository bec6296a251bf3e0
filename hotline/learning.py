"""What use says about questions and their right policies: verdicts, adopted answers, thumbs. Reads only.

Where they contradict, the rule is: a reviewer's verdict before an adopted answer before thumbs. Nothing but masked
questions leaves here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from hotline.masking import mask_personal_data
from hotline.models import Feedback, Lookup, Result, SecondaryReview
from reranking.lexical import NAME as LEXICAL
from reranking.score_gap import ALWAYS_SENDING, gap_threshold
from reranking.threshold_learning import Judgement

MOST_LOOKUPS = 5000  # the newest; older ones were found in other indexes
Source = Literal["verdict", "adoption", "thumb"]
Review = SecondaryReview


@dataclass(frozen=True, slots=True)
class Label:
    """`right`: ids of a lookup's right results; empty where a reviewer found none of them right."""

    lookup_id: int
    right: frozenset[int]
    source: Source


def resolve_label(
    *, verdict: Collection[int] | None, adopted: Collection[int], thumbs: Mapping[int, int]
) -> tuple[frozenset[int], Source] | None:
    """Which results are right, and who says so; None where nobody does. Pure.

    `verdict`: the picked results, None without a verdict. `thumbs`: by result, those up less those down.
    """
    if verdict is not None:
        return frozenset(verdict), "verdict"
    if adopted:
        return frozenset(adopted), "adoption"
    liked = frozenset(pk for pk, votes in thumbs.items() if votes > 0)
    return (liked, "thumb") if liked else None


def list_labels() -> list[Label]:
    """Of the newest lookups on which anybody said anything, oldest first, in four queries."""
    ids = list(_labelled_lookups().values_list("pk", flat=True)[:MOST_LOOKUPS])
    verdicts = _read_verdicts(ids)
    adopted: dict[int, set[int]] = defaultdict(set)
    for lookup_id, pk in Result.objects.filter(lookup__in=ids, is_adopted=True).values_list("lookup_id", "pk"):
        adopted[lookup_id].add(pk)
    thumbs: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    rows = Feedback.objects.filter(result__lookup__in=ids).values_list("result__lookup_id", "result_id", "is_helpful")
    for lookup_id, pk, is_helpful in rows:
        thumbs[lookup_id][pk] += 1 if is_helpful else -1
    found = (
        (pk, resolve_label(verdict=verdicts.get(pk), adopted=adopted[pk], thumbs=thumbs[pk])) for pk in sorted(ids)
    )
    return [Label(pk, *label) for pk, label in found if label]


def export_rows(labels: Iterable[Label] | None = None) -> Iterator[dict[str, Any]]:
    """Rows as `evaluate --queries` takes them, `doc_ids` being policies' ids; questions that nothing answers left out.

    `set` says where the label comes from.
    """
    labelled = [label for label in (list_labels() if labels is None else labels) if label.right]
    questions = Lookup.objects.in_bulk([label.lookup_id for label in labelled])
    results = Result.objects.filter(pk__in={pk for label in labelled for pk in label.right})
    documents = dict(results.values_list("pk", "version__document_id"))
    for label in labelled:
        yield {
            "qid": f"lookup-{label.lookup_id}",
            "question": mask_personal_data(questions[label.lookup_id].question),
            "doc_ids": sorted({str(documents[pk]) for pk in label.right}),
            "set": label.source,
        }


def list_judgements(*, reranker: str, revision: str) -> dict[str, list[Judgement]]:
    """Verdicts on what this revision put first, by the ticket's line of business ("" without one).

    The value is the first's share for the lexical reranker, else the gap over its factor of length and count.
    """
    reviews = Review.objects.filter(
        state=Review.State.DECIDED, lookup__reranker=reranker, lookup__reranker_revision=revision
    )
    reviews = reviews.select_related("lookup__ticket").prefetch_related("picked", "lookup__variants")
    reviews = reviews.annotate(candidates=Count("lookup__results", distinct=True))
    found: dict[str, list[Judgement]] = defaultdict(list)
    for review in reviews.order_by("-id")[:MOST_LOOKUPS]:
        value = _read_value(review.lookup, candidates=review.candidates)
        if value is not None:
            ticket = review.lookup.ticket
            found[ticket.category if ticket else ""].append(
                Judgement(
                    value=value,
                    is_right=any(result.rank == 1 for result in review.picked.all()),
                    chance=review.chance,
                    is_sent_anyway=not ALWAYS_SENDING.isdisjoint(review.lookup.reasons),
                )
            )
    return dict(found)


def _read_value(lookup: Lookup, *, candidates: int) -> float | None:
    if lookup.reranker == LEXICAL:
        return lookup.first_share
    if lookup.gap is None or lookup.gap_threshold is None:
        return None
    variants = lookup.variants.all()
    searched = variants[0].text if variants else lookup.question
    return lookup.gap / gap_threshold(1.0, question_length=len(searched), candidate_count=candidates)


def _labelled_lookups() -> QuerySet[Lookup]:
    own = Result.objects.filter(lookup=OuterRef("pk"))
    said = Q(review__state=Review.State.DECIDED) | Q(Exists(own.filter(is_adopted=True)))
    said |= Q(Exists(own.filter(feedback__isnull=False)))
    return Lookup.objects.filter(said, state=Lookup.State.DONE).order_by("-pk")


def _read_verdicts(ids: list[int]) -> dict[int, set[int]]:
    decided = Review.objects.filter(lookup__in=ids, state=Review.State.DECIDED)
    verdicts: dict[int, set[int]] = {pk: set() for pk in decided.values_list("lookup_id", flat=True)}
    for lookup_id, result_id in decided.filter(picked__isnull=False).values_list("lookup_id", "picked__pk"):
        verdicts[lookup_id].add(result_id)
    return verdicts
