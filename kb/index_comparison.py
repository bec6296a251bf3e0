"""What the index should hold of a version, and how index and database differ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from kb.models import DocumentVersion
from kb.search.types import FIRST_DAY, LAST_DAY, IndexedVersion, PassageEntry, VersionEntry
from kb.status import NO_END, in_force_interval


@dataclass(frozen=True, slots=True)
class Difference:
    """How index and database differ, by version id. `surplus`: indexed, but not to be found."""

    missing: tuple[int, ...] = ()
    outdated: tuple[int, ...] = ()
    surplus: tuple[int, ...] = ()
    compared: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.missing or self.outdated or self.surplus)


def compare(expected: dict[int, str], indexed: dict[int, str]) -> Difference:
    """Fingerprints by version id, as they should be and as they are. Pure."""
    return Difference(
        missing=tuple(sorted(expected.keys() - indexed.keys())),
        outdated=tuple(sorted(pk for pk in expected.keys() & indexed.keys() if expected[pk] != indexed[pk])),
        surplus=tuple(sorted(indexed.keys() - expected.keys())),
        compared=len(expected),
    )


def fingerprint_of(version: DocumentVersion, departments: Iterable[str], passage_count: int) -> str:
    """Changes whenever anything that is indexed changes. Text and passages never do; their scheme may."""
    start, until = in_force_interval(version.validity)
    parts = (
        version.text_sha256,
        str(version.passage_scheme),
        str(passage_count),
        version.title,
        version.document_number,
        version.region,
        version.level,
        version.category,
        ",".join(sorted(departments)),
        start.isoformat(),
        until.isoformat(),
        str(version.document_id),
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def expected_fingerprints(versions: Iterable[DocumentVersion]) -> Iterator[tuple[int, str]]:
    """Version id and what `held_fingerprints` should say of it. Versions as `load_for_comparison` gives them."""
    for version in versions:
        codes = [department.code for department in version.departments.all()]
        count: int = version.passage_count  # type: ignore[attr-defined]  # annotated
        yield version.pk, _with_count(fingerprint_of(version, codes, count), count)


def held_fingerprints(scanned: Iterable[IndexedVersion]) -> dict[int, str]:
    """With the count, so that a version that was written in part is outdated."""
    return {item.version_id: _with_count(item.fingerprint, item.passage_count) for item in scanned}


def load_for_comparison(versions: QuerySet[DocumentVersion]) -> Iterator[DocumentVersion]:
    """Without their texts, with the number of their passages as `passage_count`."""
    counted = versions.defer("text", "page_starts", "warnings").annotate(passage_count=Count("passages"))
    return counted.prefetch_related("departments").iterator(chunk_size=2000)


def _with_count(fingerprint: str, passage_count: int) -> str:
    return f"{fingerprint}:{passage_count}"


def build_entry(version: DocumentVersion) -> VersionEntry:
    """Passages and departments are best prefetched."""
    passages = version.passages.all()
    departments = tuple(sorted(department.code for department in version.departments.all()))
    start, until = in_force_interval(version.validity)
    return VersionEntry(
        version_id=version.pk,
        document_id=version.document_id,
        title=version.title,
        passages=tuple(PassageEntry(passage.pk, passage.searchable_text) for passage in passages),
        document_number=version.document_number,
        region=version.region,
        level=version.level,
        category=version.category,
        departments=departments,
        in_force_from=max(start.toordinal(), FIRST_DAY),
        in_force_until=LAST_DAY if until == NO_END else until.toordinal(),
        fingerprint=fingerprint_of(version, departments, len(passages)),
    )
