"""Which sentences of a policy text answer a question, as offsets into the text.

Every sentence gets a handful of features between 0 and 1; their weighted sum is its log-odds against the other
sentences of the same document. The weights are fitted by `python -m tests.benchmarks.highlighting --fit` (listwise
logistic regression: the sentences that touch a verbatim answer against all sentences of its document or passage).
"""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import NamedTuple

from hotline.asked_kinds import ASKED_KINDS
from kb.passages import STOPS, find_bare_lines

MAX_SENTENCE = 120  # characters
HEADING_LENGTH = 25  # characters; what is shorter may be a heading

# One weight a feature. The order is that of `_sentence_features`.
WEIGHTS = {
    "coverage": 2.28,
    "characters": 2.35,
    "strongest": 0.95,
    "previous": 2.43,
    "earlier": 0.9,
    "following": 0.57,
    "after_heading": 1.89,
    "after_question": 1.03,
    "is_question": -2.62,
    "is_heading": -1.19,
    "repeats": -1.48,
    "wanted_number": 2.19,
    "wanted_list": 0.62,
    "wanted_amount": 2.17,
    "wanted_time": 1.75,
    "wanted_contact": 1.53,
    "wanted_materials": 1.41,
}

_SENTENCE = re.compile(r"[^。！？；\n\r]*[。！？；\n\r]+|[^。！？；\n\r]+\Z")
_BETWEEN = "\n"  # in no term
_SOFT_BREAKS = "，、：, "
_WORD_RUN = re.compile(r"\w+")
_QUESTION_WORDS = re.compile(
    "是多少|有多少|多少|有哪些|哪些|哪几|是什么|什么样的|什么样|什么|怎么样|怎么办|怎么|怎样|如何|是否"
    "|能不能|可不可以|为何|为什么|哪个|哪里|哪儿|何时|请问|几|谁|吗|呢|的|了|是|有"
)
_ASKS_NUMBER = re.compile("多少|几|多久|多长|期限|比例|比率|标准|何时|什么时|时间|哪天|哪年|日期|电话|热线|号码")
_ASKS_LIST = re.compile("哪些|哪几|措施|举措|要求|做法|方面|如何|怎样|怎么|条件|政策|支持|部署|材料|流程|倡议")
_NUMBER = re.compile("[0-9]|[一二三四五六七八九十百千万两]+[个年月日天元倍成]")
_CHARACTER = re.compile("[\u4e00-\u9fff]|[a-z0-9]+")
_EMPTY_CHARACTERS = frozenset("我你您他她它们这那个不没也都就还又到去上下来在和要可以想家办")
_TITLE_DISCOUNT = 0.1  # a word of the title is in every sentence's context already
_FULL_WIDTH = {code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
_FOLD = {code: chr(half).lower() for code, half in _FULL_WIDTH.items()} | {
    code: chr(code).lower() for code in range(ord("A"), ord("Z") + 1)
}
_FOLDABLE = re.compile("[A-ZＡ-Ｚａ-ｚ０-９]")


class Highlight(NamedTuple):
    """A sentence `text[start:end]`. `score`: its share (0 to 1) among the document's sentences; `rank`: from 1."""

    start: int
    end: int
    score: float
    rank: int


class _Question(NamedTuple):
    terms: list[str]  # bigrams
    characters: list[str]
    asks_number: bool
    asks_list: bool
    kinds: list[bool]  # those of ASKED_KINDS


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences, in order, without surrounding white space.

    A sentence ends at 。！？； or a line break; a longer one is cut at a comma or, failing that, at 120 characters.
    """
    spans = []
    for match in _SENTENCE.finditer(text):
        start, end = match.span()
        while end - start > MAX_SENTENCE:
            cut = _soft_cut(text, start)
            spans.append((start, cut))
            start = cut
        spans.append((start, end))
    trimmed = (_trim(text, start, end) for start, end in spans)
    return [(start, end) for start, end in trimmed if start < end]


def highlight(question: str, text: str, *, title: str = "", limit: int = 3) -> list[Highlight]:
    """The at most `limit` sentences of `text` that most likely answer `question`, in the order of the text.

    `text` may be a passage or a whole document. `title` is its document's: what it says already counts less.
    Headings and the like are left out unless there is nothing else. Nothing is returned where no term of the question
    occurs.
    """
    return highlight_parts(question, [text], title=title, limit=limit)[0]


def highlight_parts(question: str, parts: Sequence[str], *, title: str = "", limit: int = 2) -> list[list[Highlight]]:
    """As `highlight`, at most `limit` sentences of each part of one document; scores compare among all parts."""
    asked = _read_question(question)
    spans = [split_sentences(part) for part in parts]
    folded = [_fold(part) for part in parts]
    sentences = [text[start:end] for text, own in zip(folded, spans, strict=True) for start, end in own]
    features = _sentence_features(asked, sentences, _fold(title))
    shares = iter(_softmax([sum(map(mul, WEIGHTS.values(), row)) for row in features]))
    found = []
    for part, text, own in zip(parts, folded, spans, strict=True):
        scored = [Highlight(start, end, next(shares), 0) for start, end in own]
        has_term = any(term in text for term in asked.terms)
        found.append(_choose_best(scored, part, title, limit) if has_term else [])
    return found


def _choose_best(scored: Sequence[Highlight], text: str, title: str, limit: int) -> list[Highlight]:
    """The best by score that lie in no bare line, ranked, in the order of the text; of all where all do."""
    by_score = sorted(scored, key=lambda h: (-h.score, h.start))
    best = by_score[: max(0, limit)]
    if any(text[h.end - 1] not in STOPS for h in best):  # only what ends without a stop can be bare
        bare = find_bare_lines(text, title=title)
        telling = [h for h in by_score if not any(start <= h.start and h.end <= end for start, end in bare)]
        best = (telling or by_score)[: max(0, limit)]
    return sorted(h._replace(rank=rank) for rank, h in enumerate(best, 1))


def question_features(question: str, text: str, *, title: str = "") -> list[list[float]]:
    """One row of features a sentence of `text`, columns as in `WEIGHTS`: what the weights are fitted on."""
    folded = _fold(text)
    sentences = [folded[start:end] for start, end in split_sentences(text)]
    return _sentence_features(_read_question(question), sentences, _fold(title))


def _sentence_features(asked: _Question, sentences: Sequence[str], title: str) -> list[list[float]]:
    """Features between 0 and 1, a row for each of the folded sentences."""
    found = _find_terms(asked.terms, sentences)
    coverage = _relative(_cover(found, len(sentences), title))
    scores = _relative(_bm25(found, sentences))
    characters = _relative(_cover(_find_terms(asked.characters, sentences), len(sentences), title))
    short = [_is_short(sentence) for sentence in sentences]
    questions = [sentence.endswith(("？", "?")) for sentence in sentences]
    previous = [0.0, *scores[:-1]]
    columns = [
        coverage,
        characters,
        [float(score == 1.0) for score in scores],
        previous,
        [max(scores[max(0, i - 3) : max(0, i - 1)], default=0.0) for i in range(len(sentences))],
        [*scores[1:], 0.0],
        [score * is_short for score, is_short in zip(previous, [False, *short], strict=False)],
        [score * is_question for score, is_question in zip(previous, [False, *questions], strict=False)],
        [float(is_question) for is_question in questions],
        [float(is_short and sentence[-1] != "。") for is_short, sentence in zip(short, sentences, strict=True)],
        [score * share for score, share in zip(scores, _repeat(found, sentences), strict=True)],
        _find_wanted(asked.asks_number, _NUMBER, sentences),
        [asked.asks_list * min(1.0, (s.count("、") + s.count("，")) / 6) for s in sentences],
        *(
            _find_wanted(is_asked, kind.holds, sentences)
            for is_asked, kind in zip(asked.kinds, ASKED_KINDS.values(), strict=True)
        ),
    ]
    return [list(row) for row in zip(*columns, strict=True)] if sentences else []


def _find_wanted(is_asked: bool, holds: re.Pattern[str], sentences: Sequence[str]) -> list[float]:
    """For each sentence whether it holds the kind of thing that is asked for."""
    return [float(holds.search(s) is not None) for s in sentences] if is_asked else [0.0] * len(sentences)


def _fold(text: str) -> str:
    """Full width to half width and upper to lower case, each character in its place."""
    return text.translate(_FOLD) if _FOLDABLE.search(text) else text


def _soft_cut(text: str, start: int) -> int:
    """Where the sentence that starts at `start` and is too long is cut."""
    limit = start + MAX_SENTENCE
    cut = max(text.rfind(mark, start + MAX_SENTENCE // 2, limit) for mark in _SOFT_BREAKS)
    return limit if cut < 0 else cut + 1


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, start + max(left, len(piece.rstrip()))


def _read_question(question: str) -> _Question:
    folded = _fold(question)
    core = _QUESTION_WORDS.sub(" ", folded)
    return _Question(
        terms=_bigrams(core) or _bigrams(folded),
        characters=[char for char in dict.fromkeys(_CHARACTER.findall(core)) if char not in _EMPTY_CHARACTERS],
        asks_number=_ASKS_NUMBER.search(folded) is not None,
        asks_list=_ASKS_LIST.search(folded) is not None,
        kinds=[kind.asks.search(folded) is not None for kind in ASKED_KINDS.values()],
    )


def _bigrams(text: str) -> list[str]:
    """The distinct pairs of neighbouring characters of every run of letters and digits; a lone character is itself."""
    found: dict[str, None] = {}
    for run in _WORD_RUN.findall(text):
        found.update(dict.fromkeys(run[i : i + 2] for i in range(max(1, len(run) - 1))))
    return list(found)


class _Found(NamedTuple):
    """A term, how often each sentence that holds it does (by the sentence's index), and its weight."""

    term: str
    counts: dict[int, int]
    rarity: float


def _find_terms(terms: Sequence[str], sentences: Sequence[str]) -> list[_Found]:
    """Every term's places and its BM25 rarity among the sentences: multiplied by the corpus's it is 3 points worse."""
    joined = _BETWEEN.join(sentences)
    starts = [0, *accumulate(len(sentence) + len(_BETWEEN) for sentence in sentences)]
    found = []
    for term in terms:
        counts: dict[int, int] = {}
        at = joined.find(term)
        while at >= 0:
            index = bisect_right(starts, at) - 1
            counts[index] = counts.get(index, 0) + 1
            at = joined.find(term, at + len(term))
        rarity = math.log(1 + (len(sentences) - len(counts) + 0.5) / (len(counts) + 0.5))
        found.append(_Found(term, counts, rarity))
    return found


def _cover(found: Sequence[_Found], size: int, title: str) -> list[float]:
    """For each of `size` sentences the rarities of the terms that it holds."""
    sums = [0.0] * size
    for term, counts, rarity in found:
        weight = rarity * (_TITLE_DISCOUNT if term in title else 1.0)
        for index in counts:
            sums[index] += weight
    return sums


def _bm25(found: Sequence[_Found], sentences: Sequence[str]) -> list[float]:
    mean = sum(map(len, sentences)) / max(1, len(sentences))
    sums = [0.0] * len(sentences)
    for _, counts, rarity in found:
        for index, count in counts.items():
            norm = 1.2 * (0.25 + 0.75 * len(sentences[index]) / mean)
            sums[index] += rarity * 2.2 * count / (count + norm)
    return sums


def _repeat(found: Sequence[_Found], sentences: Sequence[str]) -> list[float]:
    """How much of each sentence the question said already."""
    sums = [0] * len(sentences)
    for _, counts, _ in found:
        for index, count in counts.items():
            sums[index] += count
    return [min(1.0, count / len(sentence)) for count, sentence in zip(sums, sentences, strict=True)]


def _relative(scores: list[float]) -> list[float]:
    """Scores as shares of the best."""
    best = max(scores, default=0.0)
    return [score / best for score in scores] if best > 0 else [0.0] * len(scores)


def _is_short(sentence: str) -> bool:
    return 0 < len(sentence) < HEADING_LENGTH and sentence[-1] not in "；！"


def _softmax(scores: Sequence[float]) -> list[float]:
    top = max(scores, default=0.0)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]
