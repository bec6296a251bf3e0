"""From a citizen's question to what is searched, each step visible and removable."""

from collections.abc import Collection, Iterator

from kb.query_understanding import wording
from kb.query_understanding.cleaning import clean
from kb.query_understanding.editing import Draft
from kb.query_understanding.focus import find_question_sentences
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

_NAMES = {"synonyms": "同义表达", "expanded": "补全简称与主体", "policy_form": "换成疑问/政策句式", "focus": "诉求要点"}


def understand(
    question: str, rules: Rules, *, rarity: Rarity | None = None, without: Collection[str] = ()
) -> Understanding:
    """Cleans a question, finds its terms, places and question sentences, and rewrites it.

    `rarity` weighs bigrams by the corpus that is searched. `without` names what the agent removed: kinds of step
    ("filler") or single steps by their key ("filler:请问"). A rewrite that changes nothing is left out.
    """
    cleaned = clean(Draft.of(question, without), rules)
    terms = tuple(_find_terms(cleaned.text, rules))
    sentences = find_question_sentences(cleaned.text, terms, rarity)
    steps, variants = _rewrite(cleaned, rules, sentences)
    return Understanding(
        original=question,
        cleaned=cleaned.text,
        steps=steps,
        terms=terms,
        question_sentences=sentences,
        variants=variants,
        place_names=tuple(_find_places(cleaned.text, rules)),
        versions=rules.versions,
    )


def _rewrite(
    cleaned: Draft, rules: Rules, sentences: tuple[QuestionSentence, ...]
) -> tuple[tuple[Step, ...], tuple[Variant, ...]]:
    """All steps with those of the rewrites, and the rewrites that say something new."""
    official = wording.make_official(cleaned, rules)
    rewrites = {
        "synonyms": wording.replace_synonyms(official, rules, cleaned.text),
        "expanded": wording.name_subjects(wording.expand_abbreviations(official, rules), rules),
        "policy_form": wording.turn_to_policy_form(official, rules),
    }
    variants: list[Variant] = []
    said = {cleaned.text}
    for kind, draft in rewrites.items():
        if draft.text not in said:
            said.add(draft.text)
            variants.append(Variant(kind, draft.text, _explain(kind, draft.steps[len(cleaned.steps) :])))
    focus = "".join(sentence.text for sentence in sentences)
    if focus and focus not in said:
        variants.append(Variant("focus", focus, f"{_NAMES['focus']}：从长文中取出最能说明诉求的句子"))
    steps = dict.fromkeys(step for draft in (cleaned, official, *rewrites.values()) for step in draft.steps)
    return tuple(steps), tuple(variants)


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


def _find_places(text: str, rules: Rules) -> Iterator[PlaceName]:
    for start, end, word in rules.matcher.find(text):
        if place := rules.place_of.get(word):
            yield PlaceName(place.name, place.level, tuple(_climb(place.parent, rules)), start, end)


def _climb(parent: str, rules: Rules) -> Iterator[str]:
    """The places above, each once, however the rows refer to each other."""
    seen: set[str] = set()
    while parent and parent not in seen:
        seen.add(parent)
        yield parent
        parent = rules.place_of[parent].parent if parent in rules.place_of else ""
