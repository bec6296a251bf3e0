"""From a long complaint to the sentences that ask or name the matter."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from kb.query_understanding.editing import Draft
from kb.query_understanding.types import FoundTerm, QuestionSentence, Rarity

LONG_QUESTION = 200  # characters: from here on what names the matter is searched, not every word
SHORT_ENOUGH = 80  # characters: such a question is searched as it is
MOST_SENTENCES = 3
MOST_CHARACTERS = 150
FIRST = 2.0  # what the first sentence weighs against another that says as much
ONCE = 0.5  # taken off the times that a bigram is said: what comes again counts more than what is said in passing

WHOLE = "全文"

_SENTENCE = re.compile(r"[^。！？!?；;\n]+[。！？!?；;\n]*")
_LONG = re.compile(r"[^，,]{1,60}[，,]?|[^，,]{60}")
ASKS = re.compile(
    "[？?]|怎么|咋|如何|是否|能否|可否|能不能|可不可以|是不是|有没有|该不该|哪里|哪儿|是什么|为什么|什么[时规标条材手流程情]|多少|多久|几[天年个月]|为何|吗|合法|合理|合规|规定|依据|标准"
)
_DEMANDS = re.compile("希望|请求|恳请|要求|诉求|建议|请[^问客假]|望[^江城]|投诉|举报|反映|咨询")
_CHATTER = re.compile("尊敬的|领导|你好|您好|谢谢|感谢|百忙|此致|敬礼|辛苦")
_HAN = re.compile("[\u4e00-\u9fff]+")


def find_question_sentences(
    cleaned: str, terms: Sequence[FoundTerm], rarity: Rarity | None = None
) -> tuple[QuestionSentence, ...]:
    """The sentences of a long text that carry its question, in its order; none for a short text.

    The weight is the mean over a sentence's bigrams of how often the text says them, each time weighed by its rarity
    in the corpus (1 without `rarity`); more where the sentence asks, demands, names a term, or is the first, in which
    most say what it is about; less where it is courtesy.
    """
    if len(cleaned) <= SHORT_ENOUGH:
        return ()
    spans = _split(cleaned)
    said = Counter(bigram for span in spans for bigram in _list_bigrams(cleaned[slice(*span)]))
    rarities = rarity(said.keys()) if rarity else {}
    weights = {bigram: (count - ONCE) * rarities.get(bigram, 1.0) for bigram, count in said.items()}
    sentences = [_weigh(cleaned, start, end, terms, weights) for start, end in spans]
    best = sorted(sentences, key=lambda sentence: (-sentence.weight, sentence.start))
    chosen: list[QuestionSentence] = []
    for sentence in (s for s in best[:MOST_SENTENCES] if 2 * s.weight >= best[0].weight):
        if not chosen or sum(len(s.text) for s in chosen) + len(sentence.text) <= MOST_CHARACTERS:
            chosen.append(sentence)
    return tuple(sorted(chosen, key=lambda sentence: sentence.start))


def focus(draft: Draft, sentences: Sequence[QuestionSentence]) -> Draft:
    """A long question brought to the sentences that carry it."""
    if len(draft.text) <= LONG_QUESTION or not sentences:
        return draft
    return draft.keep("focus", WHOLE, "长文只检索最能说明诉求的句子", [_strip(draft.text, s) for s in sentences])


def _strip(text: str, sentence: QuestionSentence) -> tuple[int, int]:
    start = text.index(sentence.text, sentence.start)
    return start, start + len(sentence.text)


def _split(text: str) -> list[tuple[int, int]]:
    """Spans of sentences; a sentence that goes on and on is cut at its commas."""
    spans = []
    for sentence in _SENTENCE.finditer(text):
        if len(sentence[0]) <= MOST_CHARACTERS // 2:
            spans.append(sentence.span())
            continue
        start, end = sentence.span()
        for clause in _LONG.finditer(sentence[0]):
            at = sentence.start() + clause.end()
            if at - start >= 30:
                spans.append((start, at))
                start = at
        if start < end:
            spans.append((start, end))
    return [(start, end) for start, end in spans if _HAN.search(text, start, end)]


def _list_bigrams(sentence: str) -> list[str]:
    return [run[i : i + 2] for run in _HAN.findall(sentence) for i in range(len(run) - 1)]


def _weigh(
    text: str, start: int, end: int, terms: Sequence[FoundTerm], weights: Mapping[str, float]
) -> QuestionSentence:
    sentence = text[start:end]
    bigrams = _list_bigrams(sentence)
    weight = sum(weights[bigram] for bigram in bigrams) / (len(bigrams) or 1)
    named = sum(start <= term.start and term.end <= end for term in terms)
    factor = 1.0 + 0.8 * bool(ASKS.search(sentence)) + 0.4 * bool(_DEMANDS.search(sentence)) + 0.3 * min(named, 3)
    if not text[:start].strip():
        factor *= FIRST
    if _CHATTER.search(sentence):
        factor *= 0.5
    return QuestionSentence(sentence.strip(), round(weight * factor, 4), start, end)
