"""What the lexical reranker sees of a question's candidates: a row of figures between 0 and 1 for each.

None tells two documents of a kind apart without the question (length, date, how often it was right): such features
learn which documents are popular, and fail on those that no training question had.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice, pairwise
from typing import Protocol

from reranking.types import Candidate

RANKINGS = ("bigrams", "stripped_bigrams", "skip_bigrams", "words", "unigrams", "version_bigrams")
FIRST_STAGE = (
    *(f"{name}_share" for name in RANKINGS),
    "fused_share",
    "stripped_bigrams_second_share",
    "stripped_bigrams_top3_share",
    "stripped_bigrams_top10_share",
)
"""Figures that candidates bring along: BM25 scores of a ranking as shares of the question's best."""
COVERAGE = (
    "document_bigrams",
    "document_words",
    "passage_bigrams",
    "passage_words",
    "passages_bigrams",
    "sentence_bigrams",
    "sentence_words",
    "sentence_pair_bigrams",
    "three_sentences_bigrams",
    "titled_sentence_bigrams",
    "lead_bigrams",
)
"""The share of the question's terms that each text holds; the last two: the title with the best sentence, and with the
document's beginning.
"""
RARE = ("document_rare_bigrams", "document_rare_words")
"""The same of the whole document, terms weighed by rarity among the candidates' best passages."""
TITLE = ("title_asked", "title_asked_rare", "title_asked_count")
"""Of the title's bigrams those that the question holds: their share, plain and weighed by rarity among the candidates'
titles, and their number as a share of the greatest.
"""
VARIANT_FIRST_STAGE = (
    "variant_fused_share",
    "variant_stripped_bigrams_share",
    "variant_words_share",
    "variant_unigrams_share",
    "variant_version_bigrams_share",
    "variant_stripped_bigrams_top10_share",
)
"""First-stage figures of other wordings of the question, 0 where none was searched."""
PLACE = ("place_same", "place_above", "place_below", "place_elsewhere")
"""How the place that the question names stands to the candidate's, which brings it along; 0 where either names none."""
STATUTE = "statute"
"""1 for a document in numbered articles: a law covers many words of any question, a notice those of its one matter."""
STATUTES_FIRST = "statutes_first"
"""The share of such documents among the first stage's first three, the same for all candidates: a gate's feature."""
OWN_TEXT = (*COVERAGE, *RARE, *TITLE)
VARIANT_TEXT = tuple(f"variant_{name}" for name in OWN_TEXT)
"""The same of the wording that the text holds best; without other wordings the question's own figures."""
GATED = (*FIRST_STAGE, *OWN_TEXT, STATUTE)
"""Features whose weights depend on the gates."""
FEATURES = (*GATED, *VARIANT_FIRST_STAGE, *VARIANT_TEXT, *PLACE, STATUTES_FIRST)

_SENTENCE_END = re.compile(r"[。！？；\n]")
_RUN = re.compile(r"\w+")
_LATIN = re.compile("[a-z0-9]")
_WIDE = re.compile("[Ａ-Ｚａ-ｚ０-９]+")
_SHORTEST_SENTENCE = 4  # characters; less is a heading's number or a remnant
_LEAD = 200  # characters
_ARTICLE = re.compile(r"^[^\S\n]{0,8}第[一二三四五六七八九十百千零〇\d]+条", re.MULTILINE)
_STATUTE_BEGINNING = 5000  # characters, in which a statute has so many articles
_FEWEST_ARTICLES = 5
_FIRST = 3


class Tokens(Protocol):
    """The tokens of a text. kb.segmentation.Analysis is one."""

    @property
    def bigrams(self) -> tuple[str, ...]: ...
    @property
    def words(self) -> tuple[str, ...]: ...


class QuestionTokens(Protocol):
    """The tokens of a question, and those of the question without the words that only ask."""

    @property
    def full(self) -> Tokens: ...
    @property
    def stripped(self) -> Tokens: ...


AnalyzeQuestion = Callable[[str], QuestionTokens]


@dataclass(frozen=True, slots=True)
class PlainTokens:
    """Tokens made without a dictionary; words are bigrams."""

    bigrams: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return self.bigrams


@dataclass(frozen=True, slots=True)
class PlainQuestion:
    full: PlainTokens

    @property
    def stripped(self) -> PlainTokens:
        return self.full


def analyze_plainly(text: str) -> PlainQuestion:
    """What serves where no segmenter is handed in."""
    return PlainQuestion(PlainTokens(tuple(_cut_bigrams(normalize(text)))))


def normalize(text: str) -> str:
    """NFKC and lower case, as texts are indexed."""
    return unicodedata.normalize("NFKC", text).lower()


def list_features(
    question: str,
    candidates: Sequence[Candidate],
    analyze: AnalyzeQuestion = analyze_plainly,
    variants: Sequence[str] = (),
) -> list[list[float]]:
    """A row for each candidate, columns as in FEATURES. `variants`: other wordings that were searched too.

    Candidates that bring no first-stage figures (documents of an API call) get BM25 computed among themselves.
    """
    tokens = analyze(question)
    figures: Sequence[Mapping[str, float]] = [candidate.features for candidate in candidates]
    if not any(name in row for row in figures for name in FIRST_STAGE):
        figures = _score_locally(tuple(dict.fromkeys(tokens.stripped.bigrams)), candidates)
    wordings = [tokens, *map(analyze, variants)]
    terms = tuple(dict.fromkeys(term for wording in wordings for term in _list_terms(wording)))
    texts = [_Texts.of(candidate, terms) for candidate in candidates]
    own, *others = (_compare_texts(wording, texts) for wording in wordings)
    others = others or [own]
    best = [[max(column) for column in zip(*rows, strict=True)] for rows in zip(*others, strict=True)]
    statutes = [float(text.is_statute) for text in texts]
    among_first = _average_first(statutes, [_read(row, "fused_share") for row in figures])
    return [
        [
            *(_read(row, name) for name in FIRST_STAGE),
            *plain,
            statute,
            *(_read(row, name) for name in VARIANT_FIRST_STAGE),
            *reworded,
            *(_read(row, name) for name in PLACE),
            among_first,
        ]
        for row, plain, statute, reworded in zip(figures, own, statutes, best, strict=True)
    ]


def _average_first(values: Sequence[float], scores: Sequence[float]) -> float:
    """The mean value of the _FIRST best by score and of those that score as much."""
    least = min(nlargest(_FIRST, scores), default=0.0)
    first = [value for value, score in zip(values, scores, strict=True) if score >= least]
    return sum(first) / (len(first) or 1)


def _list_terms(tokens: QuestionTokens) -> tuple[str, ...]:
    return (*tokens.stripped.bigrams, *tokens.stripped.words)


def _compare_texts(tokens: QuestionTokens, texts: Sequence[_Texts]) -> list[list[float]]:
    """The figures of OWN_TEXT for each."""
    terms = tuple(dict.fromkeys(tokens.stripped.bigrams))
    words = tuple(dict.fromkeys(tokens.stripped.words))
    rare = zip(_cover_rare(terms, texts), _cover_rare(words, texts), strict=True)
    asked = _compare_titles(frozenset(tokens.full.bigrams), [text.title for text in texts])
    return [
        [*_cover(terms, words, text), *weighed, *titled]
        for text, weighed, titled in zip(texts, rare, asked, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Texts:
    """A candidate's title, normalised, and which of the terms of all wordings its texts hold.

    `document` and `lead`: the title and the document or its beginning, or the passages in its place; `sentences`: of
    the passages.
    """

    title: str
    is_statute: bool
    titled: frozenset[str]
    document: frozenset[str]
    lead: frozenset[str]
    passages: frozenset[str]
    best_passage: frozenset[str]
    sentences: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, candidate: Candidate, terms: Sequence[str]) -> _Texts:
        title = normalize(candidate.title)
        passages = [normalize(text) for text in candidate.passages or (candidate.text,)]
        joined = "\n".join(passages)
        document = _fold_document(candidate.document_text, terms) or joined
        titled = _find_held(terms, title)
        held = _find_held(terms, joined)
        return cls(
            title,
            _is_statute(candidate),
            titled,
            titled | _find_held(terms, document),
            titled | _find_held(terms, normalize(document[:_LEAD])),
            held,
            _find_held(held, passages[0]),
            tuple(_find_held(held, sentence) for sentence in _cut_sentences(passages)),
        )


def _is_statute(candidate: Candidate) -> bool:
    """Whether the document, or, where it is not at hand, a passage, is written in numbered articles."""
    if candidate.document_text:
        articles = _ARTICLE.finditer(candidate.document_text, 0, _STATUTE_BEGINNING)
        return sum(1 for _ in islice(articles, _FEWEST_ARTICLES)) == _FEWEST_ARTICLES
    texts = candidate.passages or (candidate.text,)
    return any(_ARTICLE.search(text, 0, _STATUTE_BEGINNING) for text in texts)


def _find_held(terms: Iterable[str], text: str) -> frozenset[str]:
    return frozenset([term for term in terms if term in text])


def _cut_sentences(passages: Iterable[str]) -> list[str]:
    """At least one."""
    pieces = (piece for text in passages for piece in _SENTENCE_END.split(text))
    return [piece for piece in pieces if len(piece) >= _SHORTEST_SENTENCE] or [""]


def _read(figures: Mapping[str, float], name: str) -> float:
    value = figures.get(name, 0.0)
    return value if math.isfinite(value) else 0.0


def _cover(bigrams: Sequence[str], words: Sequence[str], text: _Texts) -> list[float]:
    """The figures of COVERAGE."""
    return [
        _coverage(bigrams, text.document),
        _coverage(words, text.document),
        _coverage(bigrams, text.best_passage),
        _coverage(words, text.best_passage),
        _coverage(bigrams, text.passages),
        *_cover_sentences(frozenset(bigrams), frozenset(words), text),
        _coverage(bigrams, text.lead),
    ]


def _cover_rare(terms: Sequence[str], texts: Sequence[_Texts]) -> list[float]:
    """For each candidate the weighed share of the terms that its whole text holds."""
    weights = [(term, _rarity(sum(term in text.passages for text in texts), len(texts))) for term in terms]
    total = sum(weight for _, weight in weights) or 1.0
    return [sum(weight for term, weight in weights if term in text.document) / total for text in texts]


def _fold_document(text: str, terms: Sequence[str]) -> str:
    """The text as far as the terms need it folded: NFKC of fifty long laws takes longer than all the rest."""
    if any(_LATIN.search(term) for term in terms):
        return _WIDE.sub(lambda match: normalize(match[0]), text).lower()
    return text


def _cover_sentences(bigrams: frozenset[str], words: frozenset[str], text: _Texts) -> list[float]:
    """Bigrams and words in the best sentence, bigrams in the best two neighbours, mean of the best three, bigrams in
    the title and the best sentence to it.
    """
    held = [bigrams & sentence for sentence in text.sentences]
    titled = bigrams & text.titled
    count = len(bigrams) or 1
    counts = sorted(map(len, held), reverse=True)
    return [
        counts[0] / count,
        max(len(words & sentence) for sentence in text.sentences) / (len(words) or 1),
        max((len(first | second) for first, second in pairwise(held)), default=counts[0]) / count,
        sum(counts[:3]) / count / 3,
        max(len(titled | sentence) for sentence in held) / count,
    ]


def _compare_titles(asked: frozenset[str], titles: Sequence[str]) -> list[list[float]]:
    """The figures of TITLE for each."""
    cut = [_cut_bigrams(title) for title in titles]
    holding = Counter(bigram for bigrams in cut for bigram in set(bigrams))
    rarity = {bigram: _rarity(count, len(titles)) for bigram, count in holding.items()}
    counts = [sum(bigram in asked for bigram in bigrams) for bigrams in cut]
    most = max(counts, default=0) or 1
    return [
        [
            count / (len(bigrams) or 1),
            sum(rarity[b] for b in bigrams if b in asked) / (sum(rarity[b] for b in bigrams) or 1.0),
            count / most,
        ]
        for bigrams, count in zip(cut, counts, strict=True)
    ]


def _coverage(terms: Sequence[str], held: frozenset[str]) -> float:
    return sum(term in held for term in terms) / (len(terms) or 1)


def _cut_bigrams(text: str) -> list[str]:
    return [run[i : i + 2] for run in _RUN.findall(text) for i in range(max(1, len(run) - 1))]


def _score_locally(terms: Sequence[str], candidates: Sequence[Candidate]) -> list[dict[str, float]]:
    """BM25 of the bigrams among the candidates alone, in the place of every ranking."""
    texts = [normalize(f"{candidate.title}\n{candidate.text}") for candidate in candidates]
    mean = sum(map(len, texts)) / max(1, len(texts))
    scores = [0.0] * len(texts)
    for term in terms:
        counts = [text.count(term) for text in texts]
        holding = sum(map(bool, counts))
        rarity = _rarity(holding, len(texts))
        for i, count in enumerate(counts):
            scores[i] += rarity * count / (count + 1.2 * (0.25 + 0.75 * len(texts[i]) / mean)) if count else 0.0
    best = max(scores, default=0.0) or 1.0
    return [dict.fromkeys(FIRST_STAGE, score / best) for score in scores]


def _rarity(holding: int, total: int) -> float:
    """BM25's inverse document frequency."""
    return math.log(1 + (total - holding + 0.5) / (holding + 0.5))
