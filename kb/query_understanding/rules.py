"""The dictionaries that query understanding works with: rows, their checks, and the automata made of them.

`Rules` is a value. The rows come from the files in `data` or from the database; equal rows give equal versions, which
a lookup records.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from kb.query_understanding.meaning import read_meaning
from kb.query_understanding.sounds import sound_out

DATA_FOLDER = Path(__file__).parent / "data"
SEGMENTATION_TERMS = Path(__file__).parents[1] / "dictionaries" / "terms.txt"
SHORTEST_SOUND = 3  # characters of a term that is recognised by its sound; shorter ones sound like too much


class RuleError(ValueError):
    """A row cannot be used. The message, in Chinese, says which and why."""


class Filler(NamedTuple):
    """Words without content. `position`: anywhere, start or end (of a clause), alone (a clause of its own)."""

    text: str
    position: str = "start"


class Rewording(NamedTuple):
    """What people say and what documents say instead; also for short names and forms of questions."""

    text: str
    official: str


class Synonym(NamedTuple):
    """`other` may stand for `term`; with `both` also the reverse. `weight` above 0 up to 1: the heavier comes first."""

    term: str
    other: str
    weight: float = 1.0
    both: bool = False


class Term(NamedTuple):
    """A word of the field, kept whole and recognised when misspelt."""

    text: str
    category: str = ""


class Subject(NamedTuple):
    """Who answers for a matter, and its official name: parts of `subject`, joined by 、, are named where missing."""

    text: str
    subject: str


class Place(NamedTuple):
    """`level`: province, city, district or street; `parent` names the place above."""

    name: str
    level: str
    parent: str = ""


Row = Filler | Rewording | Synonym | Term | Subject | Place
R = TypeVar("R", Filler, Rewording, Synonym, Term, Subject, Place)
POSITIONS = ("anywhere", "start", "end", "alone")
LEVELS = ("province", "city", "district", "street")


class Match(NamedTuple):
    """`text[start:end]` is `word`."""

    start: int
    end: int
    word: str


class Matcher:
    """Finds the longest of many words at each place, from the left, without overlap (Aho-Corasick)."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = [word for word in dict.fromkeys(words) if word]
        self._automaton = AhoCorasick(
            self._words, matchkind=MatchKind.LeftmostLongest, implementation=Implementation.ContiguousNFA
        )

    def find(self, text: str) -> list[Match]:
        if not self._words:
            return []
        return [
            Match(start, end, self._words[index]) for index, start, end in self._automaton.find_matches_as_indexes(text)
        ]


@dataclass(frozen=True)
class Rules:
    """All rows of all dictionaries. Make it with `build`, which checks them.

    `release` is the number under which the database's rows went live, 0 for those of the files.
    """

    fillers: tuple[Filler, ...] = ()
    spoken: tuple[Rewording, ...] = ()
    abbreviations: tuple[Rewording, ...] = ()
    question_forms: tuple[Rewording, ...] = ()
    synonyms: tuple[Synonym, ...] = ()
    terms: tuple[Term, ...] = ()
    subjects: tuple[Subject, ...] = ()
    places: tuple[Place, ...] = ()
    release: int = 0

    @classmethod
    def build(cls, *, release: int = 0, **rows: Sequence[Any]) -> "Rules":
        """Checked rules. Raises RuleError for the first row that cannot be used."""
        for kind, found in rows.items():
            for row in found:
                reason = explain_refusal(row)
                if reason:
                    raise RuleError(f"{kind}：“{row[0]}”{reason}")
        return cls(**{kind: tuple(found) for kind, found in rows.items()}, release=release)

    def prepare(self) -> "Rules":
        """Makes now what the first question would otherwise wait for."""
        for name in vars(type(self)):
            if isinstance(getattr(type(self), name, None), cached_property):
                getattr(self, name)
        return self

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """For each dictionary the first 12 characters of its rows' SHA-256; `release` where there is one."""
        digests = {field.name: _digest(getattr(self, field.name)) for field in fields(self) if field.name != "release"}
        return digests | ({"release": str(self.release)} if self.release else {})

    @cached_property
    def filler_positions(self) -> Mapping[str, str]:
        return {filler.text: filler.position for filler in self.fillers}

    @cached_property
    def filler_matcher(self) -> Matcher:
        return Matcher(self.filler_positions)

    @cached_property
    def official_of(self) -> Mapping[str, str]:
        return dict(self.spoken)

    @cached_property
    def full_name_of(self) -> Mapping[str, str]:
        return dict(self.abbreviations)

    @cached_property
    def form_of(self) -> Mapping[str, str]:
        return dict(self.question_forms)

    @cached_property
    def synonyms_of(self) -> Mapping[str, tuple[tuple[str, float], ...]]:
        """Each term's synonyms with their weights, the heaviest first, of equal ones the older."""
        found: dict[str, dict[str, float]] = {}
        for term, other, weight, both in self.synonyms:
            for source, target in ((term, other), (other, term))[: 1 + both]:
                weighed = found.setdefault(source, {})
                weighed[target] = max(weight, weighed.get(target, 0.0))
        return {term: tuple(sorted(weighed.items(), key=lambda item: -item[1])) for term, weighed in found.items()}

    @cached_property
    def subject_of(self) -> Mapping[str, str]:
        return dict(self.subjects)

    @cached_property
    def place_of(self) -> Mapping[str, Place]:
        return {place.name: place for place in self.places}

    @cached_property
    def parents_of(self) -> Mapping[str, tuple[str, ...]]:
        """Each place's superior; several where several places bear the name."""
        found: dict[str, dict[str, None]] = {}
        for place in self.places:
            found.setdefault(place.name, {}).update({place.parent: None} if place.parent else {})
        return {name: tuple(parents) for name, parents in found.items()}

    @cached_property
    def place_matcher(self) -> Matcher:
        return Matcher(self.place_of)

    @cached_property
    def term_categories(self) -> Mapping[str, str]:
        return dict(self.terms)

    @cached_property
    def matcher(self) -> Matcher:
        """All words of all dictionaries but fillers: a longer one keeps a shorter one inside it from being changed."""
        words = [*self.official_of, *self.full_name_of, *self.full_name_of.values(), *self.form_of, *self.synonyms_of]
        return Matcher([*words, *self.term_categories, *self.subject_of, *self.place_of])

    @cached_property
    def terms_by_sound(self) -> Mapping[str, tuple[str, ...]]:
        """Terms, full and short names under their sounds."""
        found: dict[str, list[str]] = {}
        for word in dict.fromkeys([*self.term_categories, *self.full_name_of, *self.full_name_of.values()]):
            if len(word) >= SHORTEST_SOUND:
                found.setdefault(sound_out(word), []).append(word)
        return {sound: tuple(words) for sound, words in found.items()}

    @cached_property
    def sound_matcher(self) -> Matcher:
        return Matcher(self.terms_by_sound)


def explain_refusal(row: Row) -> str:
    """Why a row cannot be used, in Chinese; empty where it can."""
    if not row[0].strip():
        return "是空的"
    match row:
        case Filler() if row.position not in POSITIONS:
            return "的位置不是 anywhere、start、end、alone 之一"
        case Filler() if any(read_meaning(row.text)):
            return "含有否定或数字，删去会改变意思"
        case Rewording() if row.text == row.official:
            return "两种说法相同"
        case Rewording() if read_meaning(row.text) != read_meaning(row.official):
            return "两种说法的否定或数字不同"
        case Synonym() if not row.other.strip() or row.term == row.other:
            return "没有另一种说法"
        case Synonym() if not 0 < row.weight <= 1:
            return "的权重不在 0 与 1 之间"
        case Synonym() if read_meaning(row.term) != read_meaning(row.other):
            return "两种说法的否定或数字不同"
        case Place() if row.level not in LEVELS:
            return "的级别不是 province、city、district、street 之一"
    return ""


@lru_cache(maxsize=1)
def load_default_rules() -> Rules:
    """The dictionaries that come with the product. Raises RuleError where a file holds an unusable row."""
    return Rules.build(
        fillers=list(read_rows(DATA_FOLDER / "fillers.csv", Filler)),
        spoken=list(read_rows(DATA_FOLDER / "spoken.csv", Rewording)),
        abbreviations=list(read_rows(DATA_FOLDER / "abbreviations.csv", Rewording)),
        question_forms=list(read_rows(DATA_FOLDER / "question_forms.csv", Rewording)),
        synonyms=list(read_rows(DATA_FOLDER / "synonyms.csv", Synonym)),
        terms=[*read_segmentation_terms(SEGMENTATION_TERMS), *read_rows(DATA_FOLDER / "terms.csv", Term)],
        subjects=list(read_rows(DATA_FOLDER / "subjects.csv", Subject)),
        places=list(read_rows(DATA_FOLDER / "places.csv", Place)),
    )


def read_rows(path: Path, kind: type[R]) -> Iterator[R]:
    """The rows of a CSV file whose columns are the row's fields. Raises RuleError where a value cannot be read."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield _read_row(row, kind)


def read_segmentation_terms(path: Path) -> Iterator[Term]:
    """The words that segmentation keeps whole; the comment line above them is their category."""
    category = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            category = line.lstrip("# ")
        elif line.strip():
            yield Term(line.partition("\t")[0].strip(), category)


def _read_row(row: dict[str, str], kind: type[R]) -> R:
    values: dict[str, Any] = {name: (row.get(name) or "").strip() for name in kind._fields if row.get(name)}
    try:
        if "weight" in values:
            values["weight"] = float(values["weight"])
        if "both" in values:
            values["both"] = values["both"] in {"1", "true", "是"}
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise RuleError(f"{kind.__name__}：{row} 无法读取") from error


def _digest(rows: Sequence[Row]) -> str:
    return hashlib.sha256("\n".join("\t".join(map(str, row)) for row in rows).encode()).hexdigest()[:12]
