"""Cleaning: what a question says stays, how it was typed or spoken goes."""

import re
from collections.abc import Iterator
from functools import lru_cache

import opencc

from kb.query_understanding.editing import Draft
from kb.query_understanding.meaning import read_meaning
from kb.query_understanding.rules import Match, Rules
from kb.query_understanding.sounds import sound_out
from kb.query_understanding.traced import Replacement
from kb.segmentation import get_segmenter, load_default_dictionary

_WIDE = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a％－．＋＠＆／\u3000]+")
_INVISIBLE = re.compile(
    "[\u200b-\u200f\u2028-\u202f\u2060\ufeff\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+|[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f]+"
)
_REPEATED_MARKS = re.compile(r"[!！?？]{2,}|([，。；、,;~～…\-—.])\1+")
_OUTER_MARKS = re.compile(r"^[，。、；：！？,.;:!?~～… ]+|[，、；：,;:~～… ]+$")
_DOUBLED_MARKS = re.compile("(?<=[。！？!?，,])[，,、。！! ]+")
# Twice is how people stress a word or start the next clause; only words that carry nothing go at once.
_STAMMER = re.compile(
    r"([\u4e00-\u9fff]{2,12}?)(?:[，、,… ]?\1){2,}|([\u4e00-\u9fff])\2{2,}"
    "|(这个|那个|就是|然后|我们|你们|他们|因为|所以|还有|但是|如果|怎么|什么)\\3+"
)
_NUMERAL = re.compile("[一二三四五六七八九十百千万亿零两〇]")
_SENTENCE = re.compile(r"[^。！？!?；;\n]{6,}[。！？!?；;\n]*")
_FUNCTION_WORDS = frozenset("是向着对时现的地得在和与有为以到从被把给让说请问还就都也又再很最更其该各本某同这那")
NEIGHBOURS = 6  # characters around a suspected typing error that are read for the words they belong to
_CLAUSE_END = frozenset("，。！？；：、,.!?;: \n\t\r…~～")


def clean(draft: Draft, rules: Rules) -> Draft:
    """All steps of cleaning, in order."""
    draft = fold_width(draft)
    draft = remove_noise(draft)
    draft = simplify(draft)
    draft = remove_repetition(draft)
    draft = remove_fillers(draft, rules)
    return correct_typing_errors(draft, rules)


def fold_width(draft: Draft) -> Draft:
    """Full-width letters, digits and signs to half width; Chinese punctuation stays."""
    found = [Replacement(*match.span(), match[0].translate(_TO_HALF)) for match in _WIDE.finditer(draft.text)]
    return draft.edit("width", "全角转半角", found, free=True)


def remove_noise(draft: Draft) -> Draft:
    """Invisible characters and pictographs go, repeated punctuation is said once."""
    # A space instead, so that two numbers do not become one.
    hidden = [
        Replacement(*match.span(), " " if _between_digits(match) else "") for match in _INVISIBLE.finditer(draft.text)
    ]
    draft = draft.edit("noise", "删去不可见字符和表情", hidden, free=True)
    marks = [Replacement(*match.span(), _one_mark(match[0])) for match in _REPEATED_MARKS.finditer(draft.text)]
    return draft.edit("noise", "重复的标点只留一个", marks)


def simplify(draft: Draft) -> Draft:
    """Traditional characters to simplified ones (OpenCC t2s)."""
    simple = _converter().convert(draft.text)
    if len(simple) != len(draft.text):
        return draft.edit("traditional", "繁体转简体", [Replacement(0, len(draft.text), simple)], free=True)
    return draft.edit("traditional", "繁体转简体", list(_differences(draft.text, simple)), free=True)


def remove_repetition(draft: Draft) -> Draft:
    """A sentence said again goes; what is stammered is said once. Numerals and negations are left alone."""
    seen: set[str] = set()
    again = []
    for match in _SENTENCE.finditer(draft.text):
        said = match[0].strip().rstrip("。！？!?；;\n")
        if said in seen and not any(read_meaning(said)):
            again.append(Replacement(*match.span(), ""))
        seen.add(said)
    draft = draft.edit("repetition", "同一句话说了不止一遍", again)
    stammered = [
        Replacement(*match.span(), match[match.lastindex or 0])
        for match in _STAMMER.finditer(draft.text)
        if not _NUMERAL.search(match[0]) and not read_meaning(match[0]).negations
    ]
    return draft.edit("repetition", "重复的词只留一个", stammered)


def remove_fillers(draft: Draft, rules: Rules) -> Draft:
    """Courtesies and words to gain time, where they stand at the start of a clause, alone, or anywhere."""
    found = [Replacement(match.start, match.end, "") for match in _find_fillers(draft.text, rules)]
    draft = draft.edit("filler", "客套话或口头语", found)
    outer = [Replacement(*match.span(), "") for match in _OUTER_MARKS.finditer(draft.text)]
    draft = draft.edit("noise", "首尾多余的标点", outer, free=True)
    doubled = [Replacement(*match.span(), "") for match in _DOUBLED_MARKS.finditer(draft.text)]
    return draft.edit("noise", "多余的标点", doubled)


def correct_typing_errors(draft: Draft, rules: Rules) -> Draft:
    """A stretch that sounds like a word of the field, and shares half of its characters with it, becomes that word."""
    text = draft.text
    known = rules.matcher.find(text)
    found = [
        Replacement(match.start, match.end, word)
        for match in rules.sound_matcher.find(sound_out(text))
        if (word := _nearest(text[match.start : match.end], rules.terms_by_sound[match.word]))
        and not _crosses(match, known)
        and not _makes_sense(text, match.start, match.end)
    ]
    return draft.edit("typing_error", "同音或近音的错字", found)


def _find_fillers(text: str, rules: Rules) -> Iterator[Match]:
    """Fillers in place. One filler may follow another: a clause starts where its first words have gone."""
    gone = 0
    matches = rules.filler_matcher.find(text)
    for index, match in enumerate(matches):
        position = rules.filler_positions[match.word]
        starts = match.start == 0 or text[match.start - 1] in _CLAUSE_END or match.start == gone > 0
        following = matches[index + 1].start if index + 1 < len(matches) else -1
        followed = match.end == following and len(match.word) > 1
        ends = match.end == len(text) or text[match.end] in _CLAUSE_END or followed
        fits = {"anywhere": True, "start": starts, "end": ends, "alone": starts and ends}
        if fits[position]:
            gone = match.end
            yield match


def _nearest(written: str, words: tuple[str, ...]) -> str:
    """The word that `written` was meant to be; empty where it is right or too far from each."""
    if written in words:
        return ""
    shared = [sum(a == b for a, b in zip(written, word, strict=True)) for word in words]
    best = max(range(len(words)), key=shared.__getitem__)
    wrong = {a for a, b in zip(written, words[best], strict=True) if a != b}
    return words[best] if 2 * shared[best] >= len(written) and not wrong <= _FUNCTION_WORDS else ""


def _makes_sense(text: str, start: int, end: int) -> bool:
    """Whether the stretch is a word, or one that is cut by its ends: 离婚怎 in 离婚怎么办 is no misspelt 离婚证."""
    left = max(0, start - NEIGHBOURS)
    context = text[left : end + NEIGHBOURS]
    inner = range(start - left, end - left)
    for word in set(get_segmenter(load_default_dictionary()).cut_words(context)):
        for at in (m.start() for m in re.finditer(re.escape(word), context)) if len(word) > 1 else ():
            is_cut = at < inner.start < at + len(word) or at < inner.stop < at + len(word)
            if is_cut or (at, at + len(word)) == (inner.start, inner.stop):
                return True
    return False


def _crosses(match: Match, known: list[Match]) -> bool:
    """Whether a word that is written right reaches into the match, or covers it."""
    return any(
        word.start < match.end
        and match.start < word.end
        and (word.start < match.start or match.end < word.end or word.end - word.start >= match.end - match.start)
        for word in known
    )


def _between_digits(match: re.Match[str]) -> bool:
    before, after = match.string[match.start() - 1 : match.start()], match.string[match.end() : match.end() + 1]
    return before.isdigit() and after.isdigit()


def _one_mark(marks: str) -> str:
    """The mark that a run of them comes to: what asks somewhere, asks."""
    return next((mark for mark in marks if mark in "?？"), marks[0])


def _differences(text: str, other: str) -> Iterator[Replacement]:
    """The stretches in which two texts of the same length differ."""
    start = None
    for at in range(len(text) + 1):
        differs = at < len(text) and text[at] != other[at]
        if differs and start is None:
            start = at
        elif not differs and start is not None:
            yield Replacement(start, at, other[start:at])
            start = None


@lru_cache(maxsize=1)
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


_TO_HALF = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}
