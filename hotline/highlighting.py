"""Which sentences of a policy text answer a question, as offsets into the text.

Every sentence gets a handful of features between 0 and 1; their weighted sum is its log-odds against the other
sentences of the same text. The weights are fitted by `python -m tests.benchmarks.highlighting --fit` (listwise
logistic regression: the sentences that touch a verbatim answer against all sentences of its document or passage).
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

MAX_SENTENCE = 120  # characters
HEADING_LENGTH = 25  # characters; what is shorter may be a heading

# One weight a feature. The order is that of `_sentence_features`.
WEIGHTS = {
    "coverage": 3.38,
    "words": 1.58,
    "strongest": 0.52,
    "previous": 2.46,
    "earlier": 1.08,
    "following": 0.7,
    "after_heading": 1.94,
    "after_question": 1.14,
    "is_question": -2.66,
    "is_heading": -1.44,
    "repeats": -1.77,
    "wanted_number": 2.69,
    "wanted_list": 0.74,
}

_SENTENCE = re.compile(r"[^。！？；\n\r]*[。！？；\n\r]+|[^。！？；\n\r]+\Z")
_SOFT_BREAKS = "，、：, "
_WORD_RUN = re.compile(r"\w+")
_QUESTION_WORDS = re.compile(
    "是多少|有多少|多少|有哪些|哪些|哪几|是什么|什么样的|什么样|什么|怎么样|怎么办|怎么|怎样|如何|是否"
    "|能不能|可不可以|为何|为什么|哪个|哪里|哪儿|何时|请问|几|谁|吗|呢|的|了|是|有"
)
_ASKS_NUMBER = re.compile("多少|几|多久|多长|期限|比例|比率|标准|何时|什么时|时间|哪天|哪年|日期|电话|热线|号码")
_ASKS_LIST = re.compile("哪些|哪几|措施|举措|要求|做法|方面|如何|怎样|怎么|条件|政策|支持|部署|材料|流程|倡议")
_NUMBER = re.compile("[0-9]|[一二三四五六七八九十百千万两]+[个年月日天元倍成]")
_TITLE_DISCOUNT = 0.3  # a word of the title is in every sentence's context already
_FULL_WIDTH = {code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
_FOLD = {code: chr(half).lower() for code, half in _FULL_WIDTH.items()} | {
    code: chr(code).lower() for code in range(ord("A"), ord("Z") + 1)
}

Tokenise = Callable[[str], Iterable[str]]


class Highlight(NamedTuple):
    """A sentence `text[start:end]`; `score` is its share (0 to 1) among the text's sentences, `rank` counts from 1."""

    start: int
    end: int
    score: float
    rank: int


class _Question(NamedTuple):
    terms: list[str]  # bigrams
    words: list[str]
    asks_number: bool
    asks_list: bool


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


def highlight(
    question: str,
    text: str,
    *,
    title: str = "",
    tokenise: Tokenise | None = None,
    limit: int = 3,
) -> list[Highlight]:
    """The at most `limit` sentences of `text` that most likely answer `question`, in the order of the text.

    `text` may be a passage or a whole document. `title` is its document's: what it says already counts less.
    `tokenise` cuts the question into words (bigrams alone serve without it). Nothing is returned where no term of
    the question occurs.
    """
    spans = split_sentences(text)
    asked = _read_question(question, tokenise)
    folded = text.translate(_FOLD)
    sentences = [folded[start:end] for start, end in spans]
    if limit < 1 or not any(term in folded for term in asked.terms):
        return []
    features = _sentence_features(asked, sentences, title.translate(_FOLD))
    shares = _softmax([sum(w * f for w, f in zip(WEIGHTS.values(), row, strict=True)) for row in features])
    best = sorted(range(len(spans)), key=lambda i: (-shares[i], i))[:limit]
    found = [Highlight(*spans[i], round(shares[i], 4), rank) for rank, i in enumerate(best, 1)]
    return sorted(found)


def question_features(
    question: str, text: str, *, title: str = "", tokenise: Tokenise | None = None
) -> list[list[float]]:
    """One row of features a sentence of `text`, columns as in `WEIGHTS`: what the weights are fitted on."""
    folded = text.translate(_FOLD)
    sentences = [folded[start:end] for start, end in split_sentences(text)]
    return _sentence_features(_read_question(question, tokenise), sentences, title.translate(_FOLD))


def _sentence_features(asked: _Question, sentences: Sequence[str], title: str) -> list[list[float]]:
    """Features between 0 and 1, a row for each of the folded sentences."""
    rarity = _rarity(asked.terms, sentences)
    coverage = _relative([_coverage(s, rarity, title) for s in sentences])
    scores = _relative(_bm25(sentences, rarity))
    word_rarity = _rarity(asked.words, sentences)
    words = _relative([_coverage(s, word_rarity, "") for s in sentences])
    rows = []
    for i, sentence in enumerate(sentences):
        before = sentences[i - 1] if i else ""
        previous = scores[i - 1] if i else 0.0
        rows.append(
            [
                coverage[i],
                words[i],
                float(scores[i] == 1.0),
                previous,
                max(scores[max(0, i - 3) : max(0, i - 1)], default=0.0),
                scores[i + 1] if i + 1 < len(sentences) else 0.0,
                previous * _is_short(before),
                previous * _is_question(before),
                float(_is_question(sentence)),
                float(_is_short(sentence) and not sentence.endswith("。")),
                scores[i] * _repetition(sentence, asked.terms),
                float(asked.asks_number and _NUMBER.search(sentence) is not None),
                asked.asks_list * min(1.0, (sentence.count("、") + sentence.count("，")) / 6),
            ]
        )
    return rows


def _soft_cut(text: str, start: int) -> int:
    """Where the sentence that starts at `start` and is too long is cut."""
    limit = start + MAX_SENTENCE
    cut = max(text.rfind(mark, start + MAX_SENTENCE // 2, limit) for mark in _SOFT_BREAKS)
    return limit if cut < 0 else cut + 1


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, start + max(left, len(piece.rstrip()))


def _read_question(question: str, tokenise: Tokenise | None) -> _Question:
    folded = question.translate(_FOLD)
    core = _QUESTION_WORDS.sub(" ", folded)
    terms = _bigrams(core) or _bigrams(folded)
    words = [word for word in dict.fromkeys(tokenise(core)) if len(word) > 1] if tokenise else terms
    return _Question(terms, words, _ASKS_NUMBER.search(folded) is not None, _ASKS_LIST.search(folded) is not None)


def _bigrams(text: str) -> list[str]:
    """The distinct pairs of neighbouring characters of every run of letters and digits; a lone character is itself."""
    found: dict[str, None] = {}
    for run in _WORD_RUN.findall(text):
        found.update(dict.fromkeys(run[i : i + 2] for i in range(max(1, len(run) - 1))))
    return list(found)


def _rarity(terms: Sequence[str], sentences: Sequence[str]) -> dict[str, float]:
    """Every term's BM25 rarity among the sentences: multiplied by that in the corpus it measures 3 points worse."""
    weights = {}
    for term in terms:
        holding = sum(term in sentence for sentence in sentences)
        weights[term] = math.log(1 + (len(sentences) - holding + 0.5) / (holding + 0.5))
    return weights


def _coverage(sentence: str, rarity: dict[str, float], title: str) -> float:
    return sum(
        weight * (_TITLE_DISCOUNT if term in title else 1.0) for term, weight in rarity.items() if term in sentence
    )


def _bm25(sentences: Sequence[str], rarity: dict[str, float]) -> list[float]:
    mean = sum(map(len, sentences)) / max(1, len(sentences))
    scores = []
    for sentence in sentences:
        norm = 1.2 * (0.25 + 0.75 * len(sentence) / mean)
        counts = ((weight, sentence.count(term)) for term, weight in rarity.items() if term in sentence)
        scores.append(sum(weight * 2.2 * count / (count + norm) for weight, count in counts))
    return scores


def _relative(scores: list[float]) -> list[float]:
    """Scores as shares of the best."""
    best = max(scores, default=0.0)
    return [score / best for score in scores] if best > 0 else [0.0] * len(scores)


def _repetition(sentence: str, terms: Sequence[str]) -> float:
    """How much of the sentence the question said already."""
    return min(1.0, sum(sentence.count(term) for term in terms) / len(sentence))


def _is_short(sentence: str) -> bool:
    return 0 < len(sentence) < HEADING_LENGTH and sentence[-1] not in "；！"


def _is_question(sentence: str) -> bool:
    return sentence.endswith(("？", "?"))


def _softmax(scores: Sequence[float]) -> list[float]:
    top = max(scores, default=0.0)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]
