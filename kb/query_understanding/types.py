"""What understanding a question yields."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

Rarity = Callable[[Collection[str]], Mapping[str, float]]
"""How much each of some bigrams tells, the more the rarer it is; 1 for one that is left out."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `start` and `end` are offsets into the original question; `kind` names the step:

    width, traditional, noise, repetition, filler, typing_error, focus, place, spoken, abbreviation, synonym, subject,
    question_form. A focus stands for the whole text; a place changes nothing, but is preferred.
    """

    kind: str
    before: str
    after: str
    reason: str
    start: int
    end: int

    @property
    def key(self) -> str:
        """Names the step in `understand(…, without=…)`: where it is removed, so are its like in the question."""
        return f"{self.kind}:{self.before}"


@dataclass(frozen=True, slots=True)
class FoundTerm:
    """A word of the field at `cleaned[start:end]`."""

    text: str
    category: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class QuestionSentence:
    """A sentence `cleaned[start:end]` that asks or names the matter; the heavier, the rarer what it says."""

    text: str
    weight: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PlaceName:
    """A place named at `cleaned[start:end]`; `ancestors` from the nearest to the widest."""

    name: str
    level: str
    ancestors: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Variant:
    """Another wording to search with. `kind`: synonyms, expanded, policy_form or focus; `explanation` in Chinese."""

    kind: str
    text: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Understanding:
    """A question as understood. `searched`: the cleaned text, of a long one its focus; the rewrites are made of it.

    `place_names`: those found in the text, removed or not. `steps` in the order in which they were made; `versions` of
    the dictionaries used.
    """

    original: str
    cleaned: str
    searched: str
    steps: tuple[Step, ...]
    terms: tuple[FoundTerm, ...]
    question_sentences: tuple[QuestionSentence, ...]
    variants: tuple[Variant, ...]
    place_names: tuple[PlaceName, ...]
    versions: Mapping[str, str]
