"""The kinds of dictionary: what their rows hold, how they are checked, and what query understanding makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from kb.models.dictionaries import SEVERAL_A_TEXT_KINDS, EntryFields
from kb.parsing.cleaning import clean_line
from kb.query_understanding.rules import (
    Filler,
    Place,
    Rewording,
    Row,
    RuleError,
    Rules,
    Subject,
    Synonym,
    explain_refusal,
)
from kb.query_understanding.rules import Term as KnownTerm
from kb.segmentation import SegmentationDictionary, Term, compact

POSITIONS = MappingProxyType({"start": "句首", "anywhere": "任意处", "end": "句末", "alone": "单独成句"})
LEVELS = MappingProxyType({"province": "省", "city": "市", "district": "区县", "street": "街道"})
LONGEST = {"text": 100, "other": 200, "label": 50}
FREQUENCIES = range(1, 10_000_001)


class EntryValues(NamedTuple):
    """One row as the database keeps it."""

    kind: str
    text: str
    other: str = ""
    label: str = ""
    weight: float = 1.0
    both: bool = False
    frequency: int | None = None

    @property
    def key(self) -> str:
        """`identity` as text."""
        return ":".join(self.identity.values())

    @property
    def identity(self) -> dict[str, str]:
        """What there is once: a word of a dictionary, a word with one of its synonyms, a place in another."""
        once = {"kind": self.kind, "text": self.text}
        return {**once, "other": self.other} if self.kind in SEVERAL_A_TEXT_KINDS else once


@dataclass(frozen=True, slots=True)
class Kind:
    """`columns`: which values it has besides the word, under which names. `choices` are those of the label."""

    key: str
    hint: str
    columns: Mapping[str, str]
    make_row: Callable[[EntryValues], Row | None]
    rules_field: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    is_segmented: bool = False

    @property
    def name(self) -> str:
        return EntryFields.Kind(self.key).label

    def label_of(self, value: str) -> str:
        return self.choices.get(value, value)


def _reword(entry: EntryValues) -> Row:
    return Rewording(entry.text, entry.other)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.key: kind
        for kind in (
            Kind(
                "synonym",
                "后一种说法可以代替前一种；权重大的优先，低于 0.5 的不用于改写",
                {"text": "说法", "other": "另一种说法", "weight": "权重", "both": "双向"},
                lambda entry: Synonym(entry.text, entry.other, entry.weight, entry.both),
                "synonyms",
                needs=("other",),
            ),
            Kind(
                "abbreviation",
                "补成全称",
                {"text": "简称", "other": "全称"},
                _reword,
                "abbreviations",
                needs=("other",),
            ),
            Kind(
                "spoken",
                "改为规范用语，不得改变否定与数字",
                {"text": "口语", "other": "规范用语"},
                _reword,
                "spoken",
                needs=("other",),
            ),
            Kind(
                "question_form",
                "改为政策里的句式",
                {"text": "问法", "other": "政策句式"},
                _reword,
                "question_forms",
                needs=("other",),
            ),
            Kind(
                "filler",
                "净化时去掉的客套话与语气词，按位置",
                {"text": "赘词", "label": "位置"},
                lambda entry: Filler(entry.text, entry.label),
                "fillers",
                choices=POSITIONS,
                needs=("label",),
            ),
            Kind(
                "subject",
                "问题提到这件事时，补上责任主体；多个用、隔开",
                {"text": "事项", "other": "主体"},
                lambda entry: Subject(entry.text, entry.other),
                "subjects",
                needs=("other",),
            ),
            Kind(
                "place",
                "级别与上级，使某区的问题先看该区及其上级的政策",
                {"text": "地名", "label": "级别", "other": "上级"},
                lambda entry: Place(entry.text, entry.label, entry.other),
                "places",
                choices=LEVELS,
                needs=("label",),
            ),
            Kind(
                "term",
                "分词时不拆开，并纠正同音错字；生效后在后台重建索引",
                {"text": "词", "label": "类别", "frequency": "词频"},
                lambda entry: KnownTerm(entry.text, entry.label),
                "terms",
                is_segmented=True,
            ),
            Kind(
                "common_word",
                "纠正同音错字时认得的词，不影响分词",
                {"text": "词", "label": "类别"},
                lambda entry: KnownTerm(entry.text, entry.label),
                "terms",
            ),
            Kind(
                "question_word",
                "只表示在提问的词，另出一组不含它们的词元；生效后在后台重建索引",
                {"text": "词"},
                lambda entry: None,
                is_segmented=True,
            ),
        )
    }
)
_ORDER = {key: place for place, key in enumerate(KINDS)}
SEGMENTED = tuple(kind.key for kind in KINDS.values() if kind.is_segmented)


def clean_values(raw: Mapping[str, Any]) -> EntryValues:
    """What somebody gave, cleaned, without what its kind has no use for. Raises RuleError with a Chinese reason."""
    kind = KINDS.get(str(raw.get("kind", "")))
    if kind is None:
        raise RuleError("没有这种词典")
    values: dict[str, Any] = {}
    for name in ("text", "other", "label"):
        if name in kind.columns:
            values[name] = clean_line(str(raw.get(name) or ""))
            if len(values[name]) > LONGEST[name]:
                raise RuleError(f"“{kind.columns[name]}”超过 {LONGEST[name]} 个字")
    if kind.choices:
        values["label"] = {name: key for key, name in kind.choices.items()}.get(values["label"], values["label"])
    for name, read in _READERS.items():
        if name in kind.columns and raw.get(name) not in (None, ""):
            values[name] = read(raw[name])
    entry = EntryValues(kind.key, **values)
    if reason := refuse_entry(entry):
        raise RuleError(f"“{entry.text}”{reason}" if entry.text else f"“{kind.columns['text']}”没有填写")
    return entry


def refuse_entry(entry: EntryValues) -> str:
    """Why an entry cannot be used, in Chinese; empty where it can."""
    kind = KINDS.get(entry.kind)
    if kind is None:
        return "的词典不存在"
    for name in kind.needs:
        if not getattr(entry, name).strip():
            return f"没有填写“{kind.columns[name]}”"
    if kind.choices and entry.label not in kind.choices:
        return f"的{kind.columns['label']}不是{'、'.join(kind.choices.values())}之一"
    if kind.is_segmented and not compact(entry.text):
        return "里没有文字"
    row = kind.make_row(entry)
    return explain_refusal(row) if row else "是空的" if not entry.text.strip() else ""


def build_rules(entries: Iterable[EntryValues], *, release: int = 0) -> Rules:
    """Rules of the entries, in their order. One that cannot be used is left out: it must not take the others down."""
    rows: dict[str, list[Row]] = {kind.rules_field: [] for kind in KINDS.values() if kind.rules_field}
    for entry in sorted(entries, key=lambda entry: _ORDER.get(entry.kind, 0)):
        row = None if refuse_entry(entry) else KINDS[entry.kind].make_row(entry)
        if row:
            rows[KINDS[entry.kind].rules_field].append(row)
    return Rules(**{name: tuple(found) for name, found in rows.items()}, release=release)  # type: ignore[arg-type]


def build_segmentation(entries: Iterable[EntryValues]) -> SegmentationDictionary:
    """The dictionary that an index is built with."""
    terms: list[Term] = []
    question_words: list[str] = []
    for entry in entries:
        if entry.kind == "term":
            terms.append(Term(entry.text, entry.frequency))
        elif entry.kind == "question_word":
            question_words.append(entry.text)
    return SegmentationDictionary.build(terms, question_words)


def _read_weight(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise RuleError(f"权重“{value}”不是数") from None


def _read_both(value: object) -> bool:
    text = str(value).strip().lower()
    if text in {"1", "1.0", "true", "是", "双向", "on"}:
        return True
    if text in {"0", "0.0", "false", "否", "单向"}:
        return False
    raise RuleError(f"双向“{value}”应写“是”或“否”")


def _read_frequency(value: object) -> int:
    text = str(value).strip()
    if not text.isdecimal() or len(text) > len(str(FREQUENCIES[-1])) or int(text) not in FREQUENCIES:
        raise RuleError(f"词频“{value}”不是 1 到 {FREQUENCIES[-1]} 的整数")
    return int(text)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "weight": _read_weight,
    "both": _read_both,
    "frequency": _read_frequency,
}
