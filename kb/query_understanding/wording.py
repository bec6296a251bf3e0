"""Wording: what was said in everyday words, in short names and in questions, as policy documents say it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from kb.query_understanding.editing import Draft
from kb.query_understanding.focus import ASKS
from kb.query_understanding.meaning import ASKS_WITH_NEGATION, keeps_meaning
from kb.query_understanding.rules import Match, Rules
from kb.query_understanding.traced import Replacement

MOST_SUBJECTS = 3
LONGEST_STATEMENT = 60  # characters of what is made a question by asking 如何处理
MOST_SYNONYMS = 3  # of a term that are tried, each in a rewrite of its own
WEAKEST_SYNONYM = 0.5  # below it a synonym is shown with the dictionary, not used in a rewrite


def make_official(draft: Draft, rules: Rules) -> Draft:
    """Spoken wording to official wording."""
    return _reword(draft, rules, "spoken", "口语改为规范用语", rules.official_of)


def expand_abbreviations(draft: Draft, rules: Rules) -> Draft:
    """Short names to full names."""
    return _reword(draft, rules, "abbreviation", "简称补为全称", rules.full_name_of)


def replace_synonyms(draft: Draft, rules: Rules, said: str = "", *, place: int = 0) -> Draft:
    """Each term by its best synonym, if that is good enough and not what was `said` in the first place.

    `place` 1, 2, …: by the next best, where a term has so many; the others stay with their last.
    """
    return _reword(draft, rules, "synonym", "换成同义词", _StrongSynonyms(rules.synonyms_of, said, place))


def turn_to_policy_form(draft: Draft, rules: Rules) -> Draft:
    """Forms of asking to what a document calls the answer, 多少钱 to 标准; what does not ask is made to ask."""
    formed = _reword(draft, rules, "question_form", "问法改为政策句式", rules.form_of, guard_asking=False)
    bare = draft.text.rstrip("。！!，, ")
    if formed.text != draft.text or len(bare) > LONGEST_STATEMENT or ASKS.search(bare):
        return formed
    return draft.edit("question_form", "补成问句", [Replacement(len(bare), len(draft.text), "如何处理？")])


def name_subjects(draft: Draft, rules: Rules) -> Draft:
    """Names, in front, who answers for the matters that the question is about."""
    text = draft.text
    wanted = (rules.subject_of.get(match.word, "").split("、") for match in rules.matcher.find(text))
    named = [name for name in dict.fromkeys(chain.from_iterable(wanted)) if name and name not in text][:MOST_SUBJECTS]
    added = [Replacement(0, 0, f"{'、'.join(named)}：")] if named else []
    return draft.edit("subject", "补上责任主体或事项主体", added)


class _StrongSynonyms(Mapping[str, str]):
    """A view of the synonyms that are good enough, without copying thousands of rows for a question."""

    def __init__(self, weighed: Mapping[str, Sequence[tuple[str, float]]], said: str, place: int) -> None:
        self._weighed = weighed
        self._said = said
        self._place = place

    def __getitem__(self, term: str) -> str:
        strong = [o for o, weight in self._weighed[term] if weight >= WEAKEST_SYNONYM and o not in self._said]
        if not strong:
            raise KeyError(term)
        return strong[min(self._place, len(strong) - 1)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weighed)

    def __len__(self) -> int:
        return len(self._weighed)


def _reword(
    draft: Draft, rules: Rules, kind: str, reason: str, wording: Mapping[str, str], *, guard_asking: bool = True
) -> Draft:
    text = draft.text
    asking = [match.span() for match in ASKS_WITH_NEGATION.finditer(text)] if guard_asking else []
    fits = _make_fit(text, asking)
    found = [
        Replacement(match.start, match.end, after)
        for match in rules.matcher.find(text)
        if (after := wording.get(match.word, "")) and fits(match, after)
    ]
    return draft.edit(kind, reason, found)


def _make_fit(text: str, asking: list[tuple[int, int]]) -> Callable[[Match, str], bool]:
    """Whether a match may become `after`: not inside 能不能 and its like, not said there already, same meaning."""

    def fits(match: Match, after: str) -> bool:
        start, end, word = match
        if any(left < end and start < right for left, right in asking):
            return False
        offset = after.find(word)
        if offset >= 0 and text[max(0, start - offset) : start - offset + len(after)] == after:
            return False
        return keeps_meaning(text, start, end, after)

    return fits
