"""One tantivy index folder: its schema, its writer and its reader."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tantivy

from kb.search.entries import PASSAGE_FIELDS, order_hits, weigh_tokens
from kb.search.types import FIRST_DAY, LAST_DAY, FieldQuery, PassageHit, SearchFilter, VersionEntry

WRITER_HEAP_BYTES = 96 * 1024 * 1024
TEXT_FIELDS = {"passages": PASSAGE_FIELDS, "versions": ("version_bigrams",)}
ID_FIELDS = ("passage_id", "version_id", "document_id")
KEYWORD_FIELDS = ("region", "level", "category", "departments")

RESTRICTED = "*"  # stands among the departments of what is not for everyone

Clause = tuple[tantivy.Occur, tantivy.Query]


def build_schema(kind: str) -> tantivy.Schema:
    """The schema of `passages` or `versions`."""
    builder = tantivy.SchemaBuilder()
    for name in TEXT_FIELDS[kind]:
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    for name in ID_FIELDS:
        builder.add_integer_field(name, indexed=True, fast=True)
    for name in KEYWORD_FIELDS:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("in_force_from", "in_force_until"):
        builder.add_integer_field(name, indexed=True, fast=True)
    if kind == "versions":
        builder.add_text_field("fingerprint", stored=True, tokenizer_name="raw", index_option="basic")
    return builder.build()


def build_document(version: VersionEntry, passage_id: int, tokens: dict[str, str]) -> tantivy.Document:
    """An entry of a version: one of its passages, or with `passage_id` 0 the whole."""
    document = tantivy.Document()
    for name, text in tokens.items():
        document.add_text(name, text)
    for name, number in zip(ID_FIELDS, (passage_id, version.version_id, version.document_id), strict=True):
        document.add_integer(name, number)
    for name in ("region", "level", "category"):
        document.add_text(name, getattr(version, name))
    if not passage_id:
        document.add_text("fingerprint", version.fingerprint)
    for department in (*version.departments, RESTRICTED) if version.departments else ():
        document.add_text("departments", department)
    document.add_integer("in_force_from", version.in_force_from)
    document.add_integer("in_force_until", version.in_force_until)
    return document


class IndexReader:
    """Searches one folder, and sees what other processes commit. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._meta = folder / "meta.json"
        self._lock = threading.Lock()
        self._stamp = self._read_stamp()
        self._index = tantivy.Index.open(str(folder))
        self._index.config_reader("manual")
        self._index.reload()
        self.schema = self._index.schema

    def searcher(self) -> tantivy.Searcher:
        """A searcher of the last commit."""
        with self._lock:
            stamp = self._read_stamp()
            if stamp != self._stamp:
                self._index.reload()
                self._stamp = stamp
        return self._index.searcher()

    def search(
        self, query: FieldQuery, restriction: Sequence[Clause], searcher: tantivy.Searcher, limit: int
    ) -> list[PassageHit]:
        weighed = weigh_tokens(query.tokens)
        if not weighed or searcher.num_docs == 0:
            return []
        wanted = tantivy.Query.boolean_query(
            [(tantivy.Occur.Should, self._token_query(query.field, token, count)) for token, count in weighed.items()]
        )
        if restriction:
            wanted = tantivy.Query.boolean_query([(tantivy.Occur.Must, wanted), *restriction])
        found = searcher.search(wanted, limit=limit, count=False).hits
        return order_hits(_read_hits(searcher, found), limit)

    def list_version_ids(self) -> list[int]:
        """The version id of every entry."""
        searcher = self.searcher()
        addresses = _find_all(searcher)
        return [int(value or 0) for value in searcher.fast_field_values("version_id", addresses)]

    def read_fingerprints(self) -> dict[int, str]:
        """Version id to fingerprint."""
        searcher = self.searcher()
        addresses = _find_all(searcher)
        ids = searcher.fast_field_values("version_id", addresses)
        return {
            int(value or 0): str(searcher.doc(address).get_first("fingerprint"))
            for value, address in zip(ids, addresses, strict=True)
        }

    def build_restriction(self, search_filter: SearchFilter) -> list[Clause]:
        """The filter as clauses that add nothing to any score.

        Where nearly everything is allowed the rest is left out, which is several times as fast as letting it in;
        what must match instead has a constant score of 0.
        """
        wanted = {"region": search_filter.regions, "level": search_filter.levels, "category": search_filter.categories}
        clauses = [
            (tantivy.Occur.Must, tantivy.Query.const_score_query(self._find_any(name, values), 0.0))
            for name, values in wanted.items()
            if values
        ]
        if search_filter.departments is not None:
            clauses.append((tantivy.Occur.MustNot, self._find_forbidden(search_filter.departments)))
        if search_filter.as_of is not None:
            day = search_filter.as_of.toordinal()
            clauses.append((tantivy.Occur.MustNot, self._find_days("in_force_from", day + 1, LAST_DAY)))
            clauses.append((tantivy.Occur.MustNot, self._find_days("in_force_until", FIRST_DAY, day)))
        return clauses

    def _find_any(self, field: str, values: Sequence[str]) -> tantivy.Query:
        return tantivy.Query.term_set_query(self.schema, field, list(values))

    def _find_forbidden(self, departments: Sequence[str]) -> tantivy.Query:
        """What is for some departments, none of these among them."""
        restricted = tantivy.Query.term_query(self.schema, "departments", RESTRICTED, index_option="basic")
        if not departments:
            return restricted
        permitted = self._find_any("departments", departments)
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, restricted), (tantivy.Occur.MustNot, permitted)])

    def _find_days(self, field: str, first: int, last: int) -> tantivy.Query:
        return tantivy.Query.range_query(self.schema, field, tantivy.FieldType.Integer, first, last)

    def _token_query(self, field: str, token: str, count: int) -> tantivy.Query:
        query = tantivy.Query.term_query(self.schema, field, token, index_option="freq")
        return query if count == 1 else tantivy.Query.boost_query(query, float(count))

    def _read_stamp(self) -> tuple[int, int]:
        status = self._meta.stat()
        return status.st_mtime_ns, status.st_ino


@contextmanager
def open_writer(folder: Path) -> Iterator[Any]:
    """A writer that commits, and waits for its merges, when the block ends well. One at a time in a folder."""
    writer = tantivy.Index.open(str(folder)).writer(heap_size=WRITER_HEAP_BYTES, num_threads=1)
    try:
        yield writer
        writer.commit()
    except BaseException:
        writer.rollback()
        raise
    finally:
        writer.wait_merging_threads()


def _find_all(searcher: tantivy.Searcher) -> list[tantivy.DocAddress]:
    if searcher.num_docs == 0:
        return []
    found = searcher.search(tantivy.Query.all_query(), limit=searcher.num_docs, count=False)
    return [address for _, address in found.hits]


def _read_hits(searcher: tantivy.Searcher, found: Sequence[tuple[float, tantivy.DocAddress]]) -> list[PassageHit]:
    addresses = [address for _, address in found]
    columns = [searcher.fast_field_values(name, addresses) for name in ID_FIELDS]
    return [
        PassageHit(int(passage or 0), int(version or 0), int(document or 0), score)
        for (score, _), passage, version, document in zip(found, *columns, strict=True)
    ]
