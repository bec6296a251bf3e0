"""Entries to tokens: the same for every engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from kb.search.types import MAX_QUERY_TOKENS, PassageEntry, PassageHit, VersionEntry
from kb.segmentation import Segmenter

# Goes up with every change of fields or tokens that makes older indexes answer wrongly: they must be built again.
INDEX_FORMAT = 1
Item = TypeVar("Item")
PASSAGE_FIELDS = ("bigrams", "skip_bigrams", "words", "unigrams")


def tokenize_passage(segmenter: Segmenter, version: VersionEntry, passage: PassageEntry) -> dict[str, str]:
    """A passage's fields, tokens separated by spaces.

    The title goes inside each passage: scored as a field of its own it does harm.
    """
    analysis = segmenter.analyze(f"{version.title}\n{passage.text}")
    return {field: " ".join(getattr(analysis, field)) for field in PASSAGE_FIELDS}


def tokenize_version(segmenter: Segmenter, version: VersionEntry) -> dict[str, str]:
    """A version's field: the bigrams of the whole, its 发文字号 included."""
    texts = (version.title, version.document_number, *(passage.text for passage in version.passages))
    return {"version_bigrams": " ".join(segmenter.cut_bigrams("\n".join(texts)))}


def weigh_tokens(tokens: Sequence[str]) -> Counter[str]:
    """Each distinct token with how often it occurs; of an over-long query the first MAX_QUERY_TOKENS."""
    counts = Counter(tokens)
    return Counter(dict(list(counts.items())[:MAX_QUERY_TOKENS]))


def order_hits(hits: Sequence[PassageHit], limit: int) -> list[PassageHit]:
    """Best first. Scores equal to six digits, which is what the engines agree on, go by id."""
    return sorted(hits, key=lambda hit: (-float(f"{hit.score:.6g}"), hit.version_id, hit.passage_id))[:limit]


def split_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
