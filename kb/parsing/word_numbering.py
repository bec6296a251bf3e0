"""The numbers that Word shows but does not store: 第一条, （一）, 1. made from numbering definitions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from docx.document import Document
from docx.opc.part import XmlPart
from docx.oxml.ns import qn
from lxml.etree import _Element

_CHINESE_FORMATS = {
    "chineseCounting",
    "chineseCountingThousand",
    "chineseLegalSimplified",
    "japaneseCounting",
    "taiwaneseCounting",
    "taiwaneseCountingThousand",
    "ideographTraditional",
}
_DIGITS = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_PLACEHOLDER = re.compile(r"%(\d)")


@dataclass(frozen=True, slots=True)
class _Level:
    format: str
    pattern: str
    start: int


class Numbering:
    """Counts through a document's paragraphs in order; `label_of` must be asked once for each."""

    def __init__(self, document: Document) -> None:
        self._levels: dict[tuple[str, int], _Level] = {}
        self._abstract_of: dict[str, str] = {}
        self._styles = {style.style_id: style.element for style in document.styles}
        self._counts: dict[tuple[str, int], int] = {}
        root = next((part.element for part in _numbering_parts(document)), None)
        if root is not None:
            self._read(root)

    def label_of(self, paragraph: _Element) -> str:
        """The number shown before a paragraph, with a space where Word sets a tab; '' for none and for bullets."""
        number, depth = self._reference(paragraph)
        abstract = self._abstract_of.get(number, "")
        level = self._levels.get((abstract, depth))
        if level is None or level.format in {"bullet", "none"}:
            return ""
        self._counts[abstract, depth] = self._counts.get((abstract, depth), level.start - 1) + 1
        for deeper in [key for key in self._counts if key[0] == abstract and key[1] > depth]:
            del self._counts[deeper]
        label = _PLACEHOLDER.sub(lambda match: self._shown(abstract, int(match[1]) - 1), level.pattern)
        return f"{label} " if label and label[-1] not in "、.．）)" else label

    def _shown(self, abstract: str, depth: int) -> str:
        level = self._levels.get((abstract, depth))
        if level is None:
            return ""
        return format_number(self._counts.get((abstract, depth), level.start), level.format)

    def _reference(self, paragraph: _Element) -> tuple[str, int]:
        """(numId, level) of a paragraph, its own or its style's; ("", 0) for none."""
        properties = paragraph.find(qn("w:pPr"))
        found = _number_properties(properties)
        if found is None and properties is not None:
            style = properties.find(qn("w:pStyle"))
            element = self._styles.get(style.get(qn("w:val"), "")) if style is not None else None
            found = _number_properties(element.find(qn("w:pPr"))) if element is not None else None
        return found or ("", 0)

    def _read(self, root: _Element) -> None:
        for abstract in root.iter(qn("w:abstractNum")):
            abstract_id = abstract.get(qn("w:abstractNumId"), "")
            for level in abstract.iter(qn("w:lvl")):
                self._levels[abstract_id, int(level.get(qn("w:ilvl"), "0"))] = _Level(
                    _value(level, "w:numFmt", "decimal"),
                    _value(level, "w:lvlText", ""),
                    int(_value(level, "w:start", "1") or 1),
                )
        for number in root.iter(qn("w:num")):
            self._abstract_of[number.get(qn("w:numId"), "")] = _value(number, "w:abstractNumId", "")


def format_number(number: int, format_name: str) -> str:
    """A number as Word writes it in a format; digits for the formats not known."""
    if format_name in _CHINESE_FORMATS:
        return chinese_numeral(number)
    if format_name in {"upperLetter", "lowerLetter"} and 1 <= number <= 26:
        return chr((65 if format_name == "upperLetter" else 97) + number - 1)
    if format_name in {"decimalEnclosedCircle", "decimalEnclosedCircleChinese"} and 1 <= number <= 20:
        return chr(0x2460 + number - 1)
    return str(number)


def chinese_numeral(number: int) -> str:
    """1 to 9999 in Chinese numerals (一百零三), digits beyond."""
    if not 0 < number < 10_000:
        return str(number)
    text = ""
    for power, digit in zip(range(len(str(number)) - 1, -1, -1), map(int, str(number)), strict=True):
        if digit:
            text += _DIGITS[digit] + _UNITS[power]
        elif not text.endswith("零"):
            text += "零"
    text = text.rstrip("零")
    return text.removeprefix("一") if text.startswith("一十") else text


def _numbering_parts(document: Document) -> list[XmlPart]:
    parts = [item.target_part for item in document.part.rels.values() if item.reltype.endswith("/numbering")]
    return [part for part in parts if isinstance(part, XmlPart)]


def _number_properties(properties: _Element | None) -> tuple[str, int] | None:
    numbering = properties.find(qn("w:numPr")) if properties is not None else None
    if numbering is None:
        return None
    return _value(numbering, "w:numId", ""), int(_value(numbering, "w:ilvl", "0") or 0)


def _value(parent: _Element, tag: str, default: str) -> str:
    child = parent.find(qn(tag))
    return child.get(qn("w:val"), default) if child is not None else default
