"""Retrieval settings: a value that survives JSON and refuses what cannot be used, in Chinese."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hotline.retrieval_settings import RANKINGS, RetrievalSettings, SettingsError
from kb.retrieval import DEFAULT_PLAN

FULL = RetrievalSettings(
    index="hotline-policies-2",
    rankings=("bigrams", "words"),
    rewrites="always",
    reranker="lexical",
    instruction="complaint",
    gap_base_threshold=0.4,
    first_share_threshold=0.35,
    thresholds_by_category={"complaint": 0.5},
    thresholds_for="lexical 70c7597ee4f4",
)


@pytest.mark.parametrize("value", [RetrievalSettings(), FULL])
def test_settings_survive_json(value: RetrievalSettings) -> None:
    assert RetrievalSettings.from_json(json.loads(json.dumps(value.to_json()))) == value


def test_nothing_said_is_as_the_deployment_has_it() -> None:
    assert RetrievalSettings.from_json({}) == RetrievalSettings()
    assert RetrievalSettings().build_plan() is DEFAULT_PLAN


def test_equal_choices_are_equal_settings() -> None:
    backwards = RetrievalSettings.from_json({"rankings": ["words", "bigrams"]})

    assert backwards.rankings == ("bigrams", "words")
    assert RetrievalSettings.from_json({"rankings": list(RANKINGS)}) == RetrievalSettings()
    assert hash(FULL) == hash(RetrievalSettings.from_json(FULL.to_json()))


def test_plan_keeps_only_the_rankings_named() -> None:
    plan = FULL.build_plan()

    assert [ranking.name for ranking in plan.rankings] == ["bigrams", "words"]
    assert plan.depth == DEFAULT_PLAN.depth


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "应是一个对象"),
        ({"engine": "x"}, "engine"),
        ({"rankings": ["letters"]}, "词元"),
        ({"rankings": "words"}, "词元"),
        ({"rewrites": "sometimes"}, "改写方式"),
        ({"reranker": "qwen"}, "重排器"),
        ({"instruction": "令" * 501}, "超过 500 字"),
        ({"instruction": 3}, "指令"),
        ({"gap_base_threshold": "0.8"}, "数字"),
        ({"gap_base_threshold": float("nan")}, "数字"),
        ({"gap_base_threshold": True}, "数字"),
        ({"first_share_threshold": 1.2}, "0 与 1 之间"),
        ({"first_share_threshold": float("inf")}, "0 与 1 之间"),
        ({"gap_base_threshold": 10**400}, "0 与 100 之间"),
        ({"thresholds_by_category": {"complaint": 10**400}}, "0 与 100 之间"),
        ({"rankings": [{}]}, "词元"),
        ({"rankings": [["words"], 3]}, "词元"),
        ({"rewrites": ["none"]}, "改写方式"),
        ({"index": "a\0b"}, "索引名称里有不能保存的字符"),
        ({"instruction": "找\ud800"}, "指令里有不能保存的字符"),
        ({"\ud800x": 1}, "没有这样的检索设置：x。"),
        ({"thresholds_by_category": {"投诉": 0.5}}, "业务类型"),
        ({"thresholds_by_category": {"complaint": -1}}, "0 与 100 之间"),
    ],
)
def test_unusable_value_is_named(data: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        RetrievalSettings.from_json(data)
