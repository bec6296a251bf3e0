"""A district's name that several cities share is of the city that is named beside it."""

from __future__ import annotations

from kb.query_understanding import find_named_places, prefer_places
from kb.query_understanding.rules import Place, Rules
from kb.query_understanding.understanding import understand

RULES = Rules.build(
    places=[
        Place("天津市", "province"),
        Place("辽宁省", "province"),
        Place("沈阳市", "city", "辽宁省"),
        Place("和平区", "district", "天津市"),
        Place("和平区", "district", "沈阳市"),
        Place("浑南区", "district", "沈阳市"),
    ]
)


def above(text: str) -> dict[str, frozenset[str]]:
    return {place.name: place.above for place in find_named_places(text, RULES)}


def test_the_city_named_beside_decides() -> None:
    assert above("沈阳市和平区怎么办居住证")["和平"] == {"沈阳", "辽宁"}
    assert above("天津和平区怎么办居住证，天津市的")["和平"] == {"天津"}
    assert above("辽宁省和平区怎么办居住证")["和平"] == {"沈阳", "辽宁"}


def test_without_a_city_none_is_preferred() -> None:
    assert above("和平区怎么办居住证")["和平"] == frozenset()
    assert above("浑南区怎么办居住证")["浑南"] == {"沈阳", "辽宁"}
    (place,) = understand("和平区怎么办居住证", RULES).place_names
    assert (place.name, place.level, place.ancestors) == ("和平区", "district", ())


def test_districts_of_one_name_are_not_one() -> None:
    asked = find_named_places("沈阳市和平区", RULES)

    assert prefer_places(asked, find_named_places("沈阳市和平区补贴办法", RULES)) == {"place_same": 1.0}
    assert prefer_places(asked, find_named_places("和平区补贴办法", RULES)) == {"place_same": 1.0}
    assert prefer_places(asked, find_named_places("辽宁省补贴办法", RULES)) == {"place_above": 1.0}
    assert prefer_places(asked, find_named_places("天津市和平区补贴办法", RULES)) == {"place_elsewhere": 1.0}
