"""Text to tokens: one function for index and query.

Two kinds of token are made: overlapping character bigrams, and jieba's words in search mode with a domain
dictionary. The dictionary is a value with a SHA-256: an index version keeps the text of the one it was built with,
so that queries against it are cut in the same way for as long as it lives.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

with warnings.catch_warnings():
    # jieba 0.42.1 has invalid escapes and imports pkg_resources; it is the last release.
    warnings.simplefilter("ignore")
    import jieba

DICTIONARY_FOLDER = Path(__file__).parent / "dictionaries"
HAN = r"〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
LATIN = r"[a-z0-9]{1,64}(?:\.[0-9]{1,32})?"
UNIT = re.compile(rf"{LATIN}|[{HAN}]")
RUN = re.compile(rf"(?:{LATIN}|[{HAN}])+")


class DictionaryError(ValueError):
    """A dictionary's text cannot be read. The message names the line."""


@dataclass(frozen=True)
class Term:
    """A word that jieba must know. `frequency` None: as high as needed for the word to stay whole."""

    text: str
    frequency: int | None = None


@dataclass(frozen=True, eq=False)
class SegmentationDictionary:
    """Domain terms, and the words that only mark a question. Equal content gives equal text and `sha256`."""

    terms: tuple[Term, ...] = ()
    question_words: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SegmentationDictionary) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @classmethod
    def build(cls, terms: Iterable[Term | str], question_words: Iterable[str] = ()) -> SegmentationDictionary:
        """Normalises, drops what holds no word, and of terms given twice keeps the last."""
        chosen: dict[str, Term] = {}
        for term in terms:
            text = compact(term.text if isinstance(term, Term) else term)
            if text:
                chosen[text] = Term(text, term.frequency if isinstance(term, Term) else None)
        questions = {compact(word) for word in question_words} - {""}
        return cls(tuple(chosen[text] for text in sorted(chosen)), tuple(sorted(questions)))

    @classmethod
    def from_text(cls, text: str) -> SegmentationDictionary:
        """Reads what `to_text` wrote. Raises DictionaryError."""
        sections: dict[str, list[str]] = {"[terms]": [], "[question_words]": []}
        current: list[str] | None = None
        for number, line in enumerate(text.splitlines(), start=1):
            if line in sections:
                current = sections[line]
            elif line and current is None:
                raise DictionaryError(f"line {number} comes before any section")
            elif line and current is not None:
                current.append(line)
        return cls.build((_read_term(line) for line in sections["[terms]"]), sections["[question_words]"])

    def to_text(self) -> str:
        terms = (f"{term.text}\t{term.frequency}" if term.frequency else term.text for term in self.terms)
        return "\n".join(["[terms]", *terms, "[question_words]", *self.question_words, ""])

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.to_text().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Analysis:
    """The tokens of a text in order, repetitions kept. None holds white space.

    A unit is a Chinese character, a Latin word or a number. `bigrams` are pairs of neighbouring units,
    `skip_bigrams` pairs with one unit left out between them, `words` jieba's, long ones and those inside them.
    """

    bigrams: tuple[str, ...]
    skip_bigrams: tuple[str, ...]
    words: tuple[str, ...]
    unigrams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryAnalysis:
    """A question's tokens, and those of the question `stripped` of the words that only ask."""

    full: Analysis
    stripped: Analysis


class Segmenter:
    """Cuts texts with one dictionary. Safe to share between threads; get it from `get_segmenter`."""

    def __init__(self, dictionary: SegmentationDictionary) -> None:
        self.dictionary = dictionary
        self._tokenizer = _make_tokenizer(dictionary.terms)
        self._phrases = _compile_words([word for word in dictionary.question_words if len(word) > 1])
        self._particles = {word for word in dictionary.question_words if len(word) == 1}

    def analyze(self, text: str) -> Analysis:
        runs = _split_runs(text)
        return Analysis(
            bigrams=_pair_units(runs, 1),
            skip_bigrams=_pair_units(runs, 2),
            words=tuple(word for run in runs for word in self._tokenizer.cut_for_search("".join(run))),
            unigrams=tuple(unit for run in runs for unit in run),
        )

    def analyze_query(self, text: str) -> QueryAnalysis:
        """As `analyze`, twice. A text of question words alone is stripped of nothing."""
        full = self.analyze(text)
        stripped = self.analyze(self.strip_question_words(text))
        return QueryAnalysis(full, stripped if stripped.unigrams else full)

    def cut_bigrams(self, text: str) -> tuple[str, ...]:
        return _pair_units(_split_runs(text), 1)

    def cut_words(self, text: str) -> tuple[str, ...]:
        return self.analyze(text).words

    def strip_question_words(self, text: str) -> str:
        """The normalised text with a space in the place of each question word.

        One of a single character is a question word only where it stands alone: 请 is none in 申请.
        """
        normal = normalize(text)
        if self._phrases:
            normal = self._phrases.sub(" ", normal)
        if not self._particles:
            return normal
        return "".join(" " if piece in self._particles else piece for piece in self._tokenizer.cut(normal))


def normalize(text: str) -> str:
    """NFKC (full width to half width, compatibility forms to plain ones) and lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def compact(text: str) -> str:
    """The normalised text without what is no part of any token."""
    return "".join(UNIT.findall(normalize(text)))


@lru_cache(maxsize=8)
def get_segmenter(dictionary: SegmentationDictionary) -> Segmenter:
    """The process's segmenter of a dictionary; building one takes a second or so, cutting microseconds."""
    return Segmenter(dictionary)


@lru_cache(maxsize=1)
def load_default_dictionary() -> SegmentationDictionary:
    """The terms and question words that come with the product."""
    return SegmentationDictionary.build(
        (_read_term(line) for line in _read_lines("terms.txt")), _read_lines("question_words.txt")
    )


def _read_lines(name: str) -> list[str]:
    lines = (DICTIONARY_FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _read_term(line: str) -> Term:
    text, _, frequency = line.partition("\t")
    if not frequency:
        return Term(text)
    if not frequency.isdecimal():
        raise DictionaryError(f"{line!r}: the frequency is not a whole number")
    return Term(text, int(frequency))


def _compile_words(words: Sequence[str]) -> re.Pattern[str] | None:
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _split_runs(text: str) -> list[list[str]]:
    """The units of each run of text without white space or punctuation."""
    return [UNIT.findall(run) for run in RUN.findall(normalize(text))]


def _pair_units(runs: Sequence[Sequence[str]], distance: int) -> tuple[str, ...]:
    """Pairs of units `distance` apart within a run. A run of one unit is its own neighbour pair."""
    found: list[str] = []
    for run in runs:
        if len(run) == 1 and distance == 1:
            found.append(run[0])
        found.extend(first + second for first, second in zip(run, run[distance:], strict=False))
    return tuple(found)


_base_lock = threading.Lock()


@lru_cache(maxsize=1)
def _load_base() -> tuple[dict[str, int], int]:
    """jieba's own dictionary, read without its cache file (a marshalled file in the shared temporary folder)."""
    tokenizer = jieba.Tokenizer()
    frequencies, total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    return frequencies, total


def _make_tokenizer(terms: Sequence[Term]) -> jieba.Tokenizer:
    with _base_lock:
        frequencies, total = _load_base()
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total, tokenizer.initialized = dict(frequencies), total, True
    for term in terms:
        tokenizer.add_word(term.text, term.frequency or _suggest_frequency(tokenizer, term.text))
    return tokenizer


def _suggest_frequency(tokenizer: jieba.Tokenizer, word: str) -> int:
    """The least frequency with which the word beats its parts, or its own where that is higher."""
    total = float(tokenizer.total)
    share = math.prod((tokenizer.FREQ.get(part, 1) or 1) / total for part in tokenizer.cut(word, HMM=False))
    return max(int(share * total) + 1, tokenizer.FREQ.get(word, 1))
