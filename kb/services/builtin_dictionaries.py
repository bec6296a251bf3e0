"""The dictionary rows that come with the product, as the database keeps them."""

from __future__ import annotations

from collections.abc import Iterator

from kb.dictionary_kinds import EntryValues
from kb.query_understanding.rules import (
    DATA_FOLDER,
    SEGMENTATION_TERMS,
    load_default_rules,
    read_rows,
    read_segmentation_terms,
)
from kb.query_understanding.rules import Term as KnownTerm
from kb.segmentation import load_default_dictionary


def read_builtin_entries() -> Iterator[EntryValues]:
    """In the order of the files, so that rules made of them equal those of the files."""
    rules = load_default_rules()
    for filler in rules.fillers:
        yield EntryValues("filler", filler.text, label=filler.position)
    for kind, rewordings in (
        ("spoken", rules.spoken),
        ("abbreviation", rules.abbreviations),
        ("question_form", rules.question_forms),
    ):
        for rewording in rewordings:
            yield EntryValues(kind, rewording.text, rewording.official)
    for synonym in rules.synonyms:
        yield EntryValues("synonym", synonym.term, synonym.other, weight=synonym.weight, both=synonym.both)
    for subject in rules.subjects:
        yield EntryValues("subject", subject.text, subject.subject)
    for place in rules.places:
        yield EntryValues("place", place.name, place.parent, place.level)
    yield from _read_words()


def _read_words() -> Iterator[EntryValues]:
    frequencies = {term.text: term.frequency for term in load_default_dictionary().terms}
    for term in read_segmentation_terms(SEGMENTATION_TERMS):
        yield EntryValues("term", term.text, label=term.category, frequency=frequencies.get(term.text))
    for word in read_rows(DATA_FOLDER / "terms.csv", KnownTerm):
        yield EntryValues("common_word", word.text, label=word.category)
    for text in load_default_dictionary().question_words:
        yield EntryValues("question_word", text)
