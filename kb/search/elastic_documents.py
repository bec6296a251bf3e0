"""The index definition of the Elasticsearch engine, as a django-elasticsearch-dsl document.

One physical index holds passages and whole versions (`passage_id` 0). A field that an entry lacks does not count in
that field's statistics, so that both kinds have BM25 statistics of their own, as in the embedded engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django_elasticsearch_dsl import Document, fields
from django_elasticsearch_dsl.registries import registry
from elasticsearch.dsl import MetaField

from kb.models import Passage
from kb.search.entries import PASSAGE_FIELDS, tokenize_passage, tokenize_version
from kb.search.types import BM25_B, BM25_K1, VersionEntry
from kb.segmentation import Segmenter

DICTIONARY_ID = "dictionary"
TOKEN_FIELDS = (*PASSAGE_FIELDS, "version_bigrams")


def _make_token_field() -> fields.TextField:
    return fields.TextField(analyzer="whitespace", index_options="freqs")


@registry.register_document
class PassageDocument(Document):  # type: ignore[misc]
    """The mapping, of tokens already made. One entry of its own holds `dictionary` and `index_format`."""

    bigrams = _make_token_field()
    skip_bigrams = _make_token_field()
    words = _make_token_field()
    unigrams = _make_token_field()
    version_bigrams = _make_token_field()
    passage_id = fields.LongField()
    version_id = fields.LongField()
    document_id = fields.LongField()
    region = fields.KeywordField()
    level = fields.KeywordField()
    category = fields.KeywordField()
    departments = fields.KeywordField()
    in_force_from = fields.IntegerField()
    in_force_until = fields.IntegerField()
    fingerprint = fields.KeywordField()
    dictionary = fields.TextField(index=False)
    index_format = fields.IntegerField()

    class Index:
        name = "hotline-passages"
        settings = {
            "number_of_shards": 1,
            "number_of_replicas": 0,
            "similarity": {"default": {"type": "BM25", "k1": BM25_K1, "b": BM25_B}},
        }

    class Meta:
        dynamic = MetaField("strict")

    class Django:
        model = Passage
        # Services are the only writers, after their transaction; this library's signals would write before it ends.
        ignore_signals = True
        auto_refresh = False

    def get_queryset(self) -> QuerySet[Passage]:
        """Nothing: `manage.py search_index` does not fill this index, `manage.py reindex` does."""
        return Passage.objects.none()


def build_index_body(*, shards: int, replicas: int, about: dict[str, str]) -> dict[str, Any]:
    """Settings and mapping of a physical index. `about` is kept in the mapping's `_meta`."""
    body: dict[str, Any] = PassageDocument._index.clone(name="new").to_dict()
    body["settings"].update(number_of_shards=shards, number_of_replicas=replicas)
    # Tokens can be made again from the database; keeping them a second time would double the index.
    body["mappings"]["_source"] = {"excludes": list(TOKEN_FIELDS)}
    body["mappings"]["_meta"] = about
    return body


def list_entries(segmenter: Segmenter, version: VersionEntry) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and fields of a version's entries: its passages, and last the whole, whose fingerprint vouches for them."""
    shared = list_shared_fields(version)
    for passage in version.passages:
        tokens = tokenize_passage(segmenter, version, passage)
        yield f"p{passage.passage_id}", {**shared, **tokens, "passage_id": passage.passage_id}
    whole = tokenize_version(segmenter, version)
    yield f"v{version.version_id}", {**shared, **whole, "passage_id": 0, "fingerprint": version.fingerprint}


def list_shared_fields(version: VersionEntry) -> dict[str, Any]:
    """What all entries of a version carry: its ids and filters."""
    return {
        "version_id": version.version_id,
        "document_id": version.document_id,
        "region": version.region,
        "level": version.level,
        "category": version.category,
        "departments": list(version.departments),
        "in_force_from": version.in_force_from,
        "in_force_until": version.in_force_until,
    }
