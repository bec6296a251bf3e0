"""Whose policies a question prefers."""

import pytest

from kb.query_understanding import Rules, find_named_places, prefer_places
from kb.query_understanding.rules import Place

RULES = Rules.build(
    places=[
        Place("云岚市", "city"),
        Place("望江区", "district", "云岚市"),
        Place("青溪区", "district", "云岚市"),
        Place("北京", "province"),
        Place("北京市", "province"),
    ]
)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("望江区", {"place_same": 1.0}),
        ("云岚市", {"place_above": 1.0}),
        ("青溪区", {"place_elsewhere": 1.0}),
        ("北京市", {"place_elsewhere": 1.0}),
        ("全国", {}),
    ],
)
def test_district_prefers_its_own_and_its_superiors_policies(policy: str, expected: dict[str, float]) -> None:
    asked = find_named_places("望江区的老楼加装电梯补贴多少", RULES)
    assert prefer_places(asked, find_named_places(policy, RULES)) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("北京路上的路灯坏了", []),
        ("北京东路和北京大道", []),
        ("北京市路灯坏了", ["北京"]),
        ("北京路灯坏了", ["北京"]),
        ("望江区街边", ["望江"]),
        ("北京街道", []),
    ],
)
def test_name_of_a_road_is_no_place(text: str, named: list[str]) -> None:
    assert [place.name for place in find_named_places(text, RULES)] == named


def test_policy_of_a_part_is_below() -> None:
    asked = find_named_places("云岚市加装电梯", RULES)
    assert prefer_places(asked, find_named_places("望江区", RULES)) == {"place_below": 1.0}


def test_name_with_and_without_its_level_is_one_place() -> None:
    asked = find_named_places("北京怎么办居住证", RULES)
    assert prefer_places(asked, find_named_places("北京市居住证办法", RULES)) == {"place_same": 1.0}


def test_question_that_names_no_place_prefers_none() -> None:
    assert prefer_places(find_named_places("怎么办居住证", RULES), find_named_places("北京市", RULES)) == {}
