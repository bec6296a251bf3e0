"""Whose policies a question prefers: those of the place that it names, then those of the places above it."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kb.query_understanding.rules import Rules

_SUFFIX = re.compile("(?<=..)(?:(?:维吾尔|壮族|回族)?自治区|自治州|地区|[省市区县])$")


class NamedPlace(NamedTuple):
    """A place and the places above it, without 省, 市 and their like: 北京 and 北京市 are one."""

    name: str
    above: frozenset[str]


def find_named_places(text: str, rules: Rules) -> tuple[NamedPlace, ...]:
    """The places of the gazetteer that a question, a title or a region names, each once."""
    names = dict.fromkeys(match.word for match in rules.place_matcher.find(text))
    return tuple(NamedPlace(_bare(name), frozenset(map(_bare, _climb(name, rules)))) for name in names)


def prefer_places(asked: Sequence[NamedPlace], named: Sequence[NamedPlace]) -> Mapping[str, float]:
    """Which one of four holds between the question's places and a policy's, as 1 or 0; none where either names none.

    place_same; place_above: the policy is a superior's; place_below: a part's; place_elsewhere: another place's.
    """
    if not asked or not named:
        return {}
    asked_names, named_names = {place.name for place in asked}, {place.name for place in named}
    asked_above = frozenset().union(*(place.above for place in asked))
    named_above = frozenset().union(*(place.above for place in named))
    if asked_names & named_names:
        return {"place_same": 1.0}
    if named_names & asked_above:
        return {"place_above": 1.0}
    return {"place_below": 1.0} if named_above & asked_names else {"place_elsewhere": 1.0}


def _bare(name: str) -> str:
    return _SUFFIX.sub("", name)


def _climb(name: str, rules: Rules) -> list[str]:
    """The places above, however the rows refer to each other."""
    above: list[str] = []
    place = rules.place_of.get(name)
    while place and place.parent and place.parent not in above:
        above.append(place.parent)
        place = rules.place_of.get(place.parent)
    return above
