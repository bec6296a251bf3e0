"""Which sentences of a policy text answer a question, as offsets into the text.

Every sentence gets a handful of features between 0 and 1; their weighted sum is its log-odds against the other
sentences of the same document. The weights are fitted by `python -m tests.benchmarks.highlighting --fit` (listwise
logistic regression: the sentences that touch a verbatim answer against all sentences of its document or passage).
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hotline.asked_kinds import ASKED_KINDS
from kb.passages import find_bare_lines

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
    folded = [part.translate(_FOLD) for part in parts]
    sentences = [text[start:end] for text, own in zip(folded, spans, strict=True) for start, end in own]
    features = _sentence_features(asked, sentences, title.translate(_FOLD))
    shares = iter(_softmax([sum(w * f for w, f in zip(WEIGHTS.values(), row, strict=True)) for row in features]))
    found = []
    for part, text, own in zip(parts, folded, spans, strict=True):
        scored = [Highlight(start, end, next(shares), 0) for start, end in own]
        has_term = any(term in text for term in asked.terms)
        found.append(_choose_best(scored, find_bare_lines(part, title=title), limit) if has_term else [])
    return found


def _choose_best(scored: Sequence[Highlight], bare: Sequence[tuple[int, int]], limit: int) -> list[Highlight]:
    """The best by score that lie in no `bare` line, ranked, in the order of the text; of all where all do."""
    telling = [h for h in scored if not any(start <= h.start and h.end <= end for start, end in bare)]
    best = sorted(telling or scored, key=lambda h: (-h.score, h.start))[: max(0, limit)]
    return sorted(h._replace(rank=rank) for rank, h in enumerate(best, 1))


def question_features(question: str, text: str, *, title: str = "") -> list[list[float]]:
    """One row of features a sentence of `text`, columns as in `WEIGHTS`: what the weights are fitted on."""
    folded = text.translate(_FOLD)
    sentences = [folded[start:end] for start, end in split_sentences(text)]
    return _sentence_features(_read_question(question), sentences, title.translate(_FOLD))


def _sentence_features(asked: _Question, sentences: Sequence[str], title: str) -> list[list[float]]:
    """Features between 0 and 1, a row for each of the folded sentences."""
    rarity = _rarity(asked.terms, sentences)
    coverage = _relative([_coverage(s, rarity, title) for s in sentences])
    scores = _relative(_bm25(sentences, rarity))
    character_rarity = _rarity(asked.characters, sentences)
    characters = _relative([_coverage(s, character_rarity, title) for s in sentences])
    rows = []
    for i, sentence in enumerate(sentences):
        before = sentences[i - 1] if i else ""
        previous = scores[i - 1] if i else 0.0
        rows.append(
            [
                coverage[i],
                characters[i],
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
                *_hold_wanted(asked, sentence),
            ]
        )
    return rows


def _hold_wanted(asked: _Question, sentence: str) -> Iterator[float]:
    """Of each kind whether it is asked for and the sentence holds one."""
    for is_asked, kind in zip(asked.kinds, ASKED_KINDS.values(), strict=True):
        yield float(is_asked and kind.holds.search(sentence) is not None)


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
    folded = question.translate(_FOLD)
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
