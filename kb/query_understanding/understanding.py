"""From a citizen's question to what is searched, each step visible and removable."""

from collections.abc import Collection, Iterator, Sequence

from kb.query_understanding import wording
from kb.query_understanding.cleaning import clean
from kb.query_understanding.editing import Draft
from kb.query_understanding.focus import LONG_QUESTION, find_question_sentences, focus
from kb.query_understanding.places import climb, find_places
from kb.query_understanding.rules import Rules
from kb.query_understanding.types import (
    FoundTerm,
    PlaceName,
    QuestionSentence,
    Rarity,
    Step,
    Understanding,
    Variant,
)

PREFERRED = "本地与上级优先"
_NAMES = {"synonyms": "同义表达", "expanded": "补全简称与主体", "policy_form": "换成疑问/政策句式", "focus": "诉求要点"}


def understand(
    question: str, rules: Rules, *, rarity: Rarity | None = None, without: Collection[str] = (), region: str = ""
) -> Understanding:
    """Cleans a question, finds its terms, places and question sentences, and rewrites it.

    `rarity` weighs bigrams by the corpus that is searched. `without` names what the agent removed: kinds of step
    ("filler") or single steps by their key ("filler:请问"). `region`: where the matter is, if the question names no
    place. A rewrite that changes nothing is left out.
    """
    cleaned = clean(Draft.of(question, without), rules)
    terms = tuple(_find_terms(cleaned.text, rules))
    sentences = find_question_sentences(cleaned.text, terms, rarity)
    searched = focus(cleaned, sentences)
    places = tuple(_find_place_names(cleaned.text, rules))
    steps, variants = _rewrite(searched, rules)
    if len(cleaned.text) <= LONG_QUESTION:
        variants = (*variants, *_offer_focus(searched.text, sentences, variants))
    noted = (*searched.steps, *_note_places(cleaned, places, region, rules), *steps)
    return Understanding(
        original=question,
        cleaned=cleaned.text,
        searched=searched.text,
        steps=tuple(dict.fromkeys(noted)),
        terms=terms,
        question_sentences=sentences,
        variants=variants,
        place_names=places,
        versions=rules.versions,
    )


def _rewrite(searched: Draft, rules: Rules) -> tuple[tuple[Step, ...], tuple[Variant, ...]]:
    """All steps of the rewrites, and the rewrites that say something new."""
    official = wording.make_official(searched, rules)
    rewrites = [
        ("synonyms", wording.replace_synonyms(official, rules, searched.text)),
        ("expanded", wording.name_subjects(wording.expand_abbreviations(official, rules), rules)),
        ("policy_form", wording.turn_to_policy_form(official, rules)),
        *(
            ("synonyms", wording.replace_synonyms(official, rules, searched.text, place=place))
            for place in range(1, wording.MOST_SYNONYMS)
        ),
    ]
    variants: list[Variant] = []
    said = {searched.text}
    for kind, draft in rewrites:
        if draft.text not in said:
            said.add(draft.text)
            variants.append(Variant(kind, draft.text, _explain(kind, draft.steps[len(searched.steps) :])))
    steps = tuple(step for draft in (official, *(draft for _, draft in rewrites)) for step in draft.steps)
    return steps, tuple(variants)


def _offer_focus(text: str, sentences: Sequence[QuestionSentence], variants: Sequence[Variant]) -> Iterator[Variant]:
    """Of a question that is searched as a whole, the sentences that carry it."""
    focused = "".join(sentence.text for sentence in sentences)
    if focused and focused not in {text, *(variant.text for variant in variants)}:
        yield Variant("focus", focused, f"{_NAMES['focus']}：从长文中取出最能说明诉求的句子")


def _explain(kind: str, steps: tuple[Step, ...]) -> str:
    """What was changed for a rewrite, in Chinese."""
    changes = "；".join(dict.fromkeys(f"{step.before or '（无）'}→{step.after}" for step in steps))
    return f"{_NAMES[kind]}：{changes}"


def _find_terms(text: str, rules: Rules) -> Iterator[FoundTerm]:
    for start, end, word in rules.matcher.find(text):
        if word in rules.term_categories:
            yield FoundTerm(word, rules.term_categories[word], start, end)
        elif word in rules.full_name_of:
            yield FoundTerm(word, "简称", start, end)


def _find_place_names(text: str, rules: Rules) -> Iterator[PlaceName]:
    found = find_places(text, rules)
    names = {match.word for match in found}
    for start, end, word in found:
        place = rules.place_of[word]
        yield PlaceName(word, place.level, tuple(climb(word, rules, beside=names)), start, end)


def _note_places(cleaned: Draft, places: Sequence[PlaceName], region: str, rules: Rules) -> Iterator[Step]:
    """Each place once, those of the region where the question names none."""
    found: dict[str, tuple[str, tuple[int, int]]] = {}
    for place in places:
        found.setdefault(place.name, ("问题提到的地区", cleaned.traced.origin(place.start, place.end)))
    if not places:
        found = {match.word: ("工单的诉求地区", (0, 0)) for match in find_places(region, rules)}
    for name, (reason, span) in found.items():
        if not cleaned.without & {"place", f"place:{name}"}:
            yield Step("place", name, PREFERRED, f"{reason}：优先本地及上级的政策", *span)
