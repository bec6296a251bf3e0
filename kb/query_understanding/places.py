"""Whose policies a question prefers: those of the place that it names, then those of the places above it."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from kb.query_understanding.rules import Match, Rules

_SUFFIX = re.compile("(?<=..)(?:(?:维吾尔|壮族|回族)?自治区|自治州|地区|[省市区县])$")
_FULL = re.compile("..(?:[省市区县州盟旗镇乡]|街道)$")
_ROAD = re.compile(
    "[东南西北中]?[一二三四五六七八九十]?[东南西北中]?(?:路(?![灯面政网况桥])|大街|街(?![边头])|大道|巷|胡同|弄)"
)


class NamedPlace(NamedTuple):
    """A place and the places above it, without 省, 市 and their like: 北京 and 北京市 are one."""

    name: str
    above: frozenset[str]


def find_places(text: str, rules: Rules) -> list[Match]:
    """The places of the gazetteer that a text names. The name of a road (南京路) is none, but 南京市 before one is."""
    return [
        match
        for match in rules.place_matcher.find(text)
        if _FULL.search(match.word) or not _ROAD.match(text, match.end)
    ]


def find_named_places(text: str, rules: Rules) -> tuple[NamedPlace, ...]:
    """Those that a question, a title or a region names, each once."""
    return name_places((match.word for match in find_places(text, rules)), rules)


def name_places(names: Iterable[str], rules: Rules) -> tuple[NamedPlace, ...]:
    """Each once, with the places above it, which the other names may decide."""
    every = list(dict.fromkeys(names))
    return tuple(NamedPlace(_bare(name), frozenset(map(_bare, climb(name, rules, beside=every)))) for name in every)


def prefer_places(asked: Sequence[NamedPlace], named: Sequence[NamedPlace]) -> Mapping[str, float]:
    """Which one of four holds between the question's places and a policy's, as 1 or 0; none where either names none.

    place_same; place_above: the policy is a superior's; place_below: a part's; place_elsewhere: another place's.
    """
    if not asked or not named:
        return {}
    is_same = any(_are_one(one, other) for one in asked for other in named)
    asked_names, named_names = {place.name for place in asked}, {place.name for place in named}
    asked_above = frozenset().union(*(place.above for place in asked))
    named_above = frozenset().union(*(place.above for place in named))
    if is_same:
        return {"place_same": 1.0}
    if named_names & asked_above:
        return {"place_above": 1.0}
    return {"place_below": 1.0} if named_above & asked_names else {"place_elsewhere": 1.0}


def _bare(name: str) -> str:
    return _SUFFIX.sub("", name)


def climb(name: str, rules: Rules, *, beside: Collection[str] = ()) -> list[str]:
    """The places above, however the rows refer to each other.

    Of a name that several places bear, those above the one whose superior is named `beside` it; else none.
    """
    above: list[str] = []
    parent = _find_parent(name, rules, beside)
    while parent and parent not in above:
        above.append(parent)
        parent = _find_parent(parent, rules, beside)
    return above


def _find_parent(name: str, rules: Rules, beside: Collection[str]) -> str:
    parents = rules.parents_of.get(name, ())
    if len(parents) > 1:
        named = set(map(_bare, beside))
        parents = tuple(parent for parent in parents if named & set(map(_bare, (parent, *climb(parent, rules)))))
    return parents[0] if len(parents) == 1 else ""


def _are_one(one: NamedPlace, other: NamedPlace) -> bool:
    """Districts of one name in two cities are not; where a city is not known, they may be."""
    return one.name == other.name and not (one.above and other.above and one.above.isdisjoint(other.above))
