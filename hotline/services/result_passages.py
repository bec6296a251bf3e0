"""The passages of results, put in the order in which they are shown and marked, as hotline.passage_order decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.conf import settings

from hotline.models import Lookup, Result, ResultPassage
from hotline.passage_order import LONGEST_READ, FoundPassage, order_passages
from kb.models import Passage
from kb.selectors import load_whole_versions


def store_first_passages(
    question: str, results: Sequence[Result], found: Mapping[int, Sequence[ResultPassage]]
) -> None:
    """Of a new lookup: `found`, by result, unsaved and in first-stage order. Those of the shown results are marked."""
    shown = [result for result in results if result.rank <= settings.RESULT_LIMIT]
    rows = [row for result in results if result not in shown for row in found[result.pk]]
    ResultPassage.objects.bulk_create(rows + _arrange_all(question, [(result, found[result.pk]) for result in shown]))


def mark_shown_passages(lookup: Lookup, question: str) -> None:
    """Of the results that are shown and not marked yet, as after reranking."""
    results = lookup.results.filter(rank__lte=settings.RESULT_LIMIT).select_related("version")
    results = results.defer("features", "version__text", "version__page_starts", "version__warnings")
    unmarked = [result for result in results.prefetch_related("passages__passage") if not _is_marked(result)]
    rows = _arrange_all(question, [(result, result.passages.all()) for result in unmarked])
    ResultPassage.objects.bulk_update([row for row in rows if row.pk], ["ordinal", "highlights"])
    ResultPassage.objects.bulk_create([row for row in rows if not row.pk])


def _is_marked(result: Result) -> bool:
    return any(row.highlights for row in result.passages.all())


def _arrange_all(question: str, found: Sequence[tuple[Result, Iterable[ResultPassage]]]) -> list[ResultPassage]:
    whole = load_whole_versions((result.version_id for result, _ in found), longest=LONGEST_READ)
    return [row for result, rows in found for row in _arrange(question, result, rows, whole.get(result.version_id, ()))]


def _arrange(
    question: str, result: Result, found: Iterable[ResultPassage], whole: Sequence[Passage]
) -> Iterator[ResultPassage]:
    """The rows with their places and marks; a new one where another passage of the `whole` version answers better."""
    rows = {row.passage_id: row for row in found}
    read = {passage.pk: passage for passage in whole} or {pk: row.passage for pk, row in rows.items()}
    passages = [FoundPassage(pk, read[pk].text, rows[pk].score if pk in rows else 0.0) for pk in read]
    for ordinal, shown in enumerate(order_passages(question, passages, title=result.version.title)):
        row = rows.get(shown.id) or ResultPassage(result=result, passage=read[shown.id], score=0.0)
        row.ordinal, row.highlights = ordinal, shown.spans
        yield row
