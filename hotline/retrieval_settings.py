"""How a question is searched and ordered: what the laboratory tries and what an administrator makes live.

A value, with JSON in and out. What is left empty is as the deployment has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from kb.retrieval import DEFAULT_PLAN, FusionPlan

RANKINGS = tuple(ranking.name for ranking in DEFAULT_PLAN.rankings)
REWRITES = ("default", "none", "always")
SEMANTIC = ("default", "none")
RERANKERS = ("configured", "lexical", "none")
INSTRUCTION_LIMIT = 500
NAME_LIMIT = 200
MOST_LOG_ODDS = 100.0  # no reranker's gap comes near

_CATEGORY = re.compile(r"[a-z0-9_-]{1,20}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # JSON can say them, PostgreSQL cannot hold them


class SettingsError(ValueError):
    """A value cannot be used. The message, in Chinese, says which."""


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """`index`: the name of a kept index, "" the live one. `rankings`: names of the plan's rankings, () all.

    `rewrites`: default (those that help unasked), none, or always (every rewrite is searched too). `semantic`: default
    (where an embedder is configured) or none. `reranker`: configured, lexical, or none. `instruction`: the key of a
    template or a text of one's own, "" by line of business.
    Thresholds None: as configured or as fitted with the reranker. `thresholds_by_category`, by a ticket's category, go
    before whichever of the two the reranker's rules send to review by. `thresholds_for`: the reranker and revision
    (see name_revision) that all of them belong to and act for alone; "" for any.
    """

    index: str = ""
    rankings: tuple[str, ...] = ()
    rewrites: str = "default"
    semantic: str = "default"
    reranker: str = "configured"
    instruction: str = ""
    gap_base_threshold: float | None = None
    first_share_threshold: float | None = None
    thresholds_by_category: Mapping[str, float] = field(default_factory=dict, hash=False)
    thresholds_for: str = ""

    def to_json(self) -> dict[str, Any]:
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**content, "rankings": list(self.rankings), "thresholds_by_category": dict(self.thresholds_by_category)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RetrievalSettings:
        """What is missing is the default. Raises SettingsError."""
        if not isinstance(data, Mapping):
            raise SettingsError("检索设置应是一个对象。")
        known = {item.name for item in fields(cls)}
        if unknown := sorted(str(name) for name in data if name not in known):
            raise SettingsError(f"没有这样的检索设置：{_UNSTORABLE.sub('', '、'.join(unknown))}。")
        return cls(
            index=_read_text(data, "index", "索引名称", NAME_LIMIT),
            rankings=_read_rankings(data.get("rankings")),
            rewrites=_read_choice(data, "rewrites", "改写方式", REWRITES),
            semantic=_read_choice(data, "semantic", "语义召回", SEMANTIC),
            reranker=_read_choice(data, "reranker", "重排器", RERANKERS),
            instruction=_read_text(data, "instruction", "指令", INSTRUCTION_LIMIT),
            gap_base_threshold=_read_number(data.get("gap_base_threshold"), "分差阈值", MOST_LOG_ODDS),
            first_share_threshold=_read_number(data.get("first_share_threshold"), "首位占比阈值", 1.0),
            thresholds_by_category=_read_thresholds(data.get("thresholds_by_category")),
            thresholds_for=_read_text(data, "thresholds_for", "阈值所属的重排版本", NAME_LIMIT),
        )

    def build_plan(self) -> FusionPlan:
        """The rankings that are asked of the engine and fused."""
        if not self.rankings:
            return DEFAULT_PLAN
        kept = tuple(ranking for ranking in DEFAULT_PLAN.rankings if ranking.name in self.rankings)
        return replace(DEFAULT_PLAN, rankings=kept)


def name_revision(reranker: str, revision: str) -> str:
    """What thresholds belong to."""
    return f"{reranker} {revision}".strip()


def _read_text(data: Mapping[str, Any], name: str, label: str, limit: int) -> str:
    value = data.get(name) or ""
    if not isinstance(value, str):
        raise SettingsError(f"{label}应是文字。")
    if len(value.strip()) > limit:
        raise SettingsError(f"{label}超过 {limit} 字。")
    if _UNSTORABLE.search(value):
        raise SettingsError(f"{label}里有不能保存的字符。")
    return value.strip()


def _read_choice(data: Mapping[str, Any], name: str, label: str, choices: Sequence[str]) -> str:
    value = data.get(name) or choices[0]
    if value not in choices:
        raise SettingsError(f"{label}只能是 {'、'.join(choices)} 之一。")
    return str(value)


def _read_rankings(value: Any) -> tuple[str, ...]:
    """In the plan's order, so that equal settings are equal; all of them is the same as none named."""
    if not value:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence) or any(name not in RANKINGS for name in value):
        raise SettingsError(f"词元只能从 {'、'.join(RANKINGS)} 中选。")
    return () if len(set(value)) == len(RANKINGS) else tuple(name for name in RANKINGS if name in value)


def _read_number(value: Any, label: str, most: float) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # nan
        raise SettingsError(f"{label}应是数字。")
    if not 0 <= value <= most:
        raise SettingsError(f"{label}应在 0 与 {most:g} 之间。")
    return float(value)


def _read_thresholds(value: Any) -> dict[str, float]:
    if not value:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and _CATEGORY.fullmatch(key) for key in value):
        raise SettingsError("分业务阈值应以业务类型的代码为名。")
    read = {key: _read_number(own, f"“{key}”的阈值", MOST_LOG_ODDS) for key, own in value.items()}
    return {key: own for key, own in sorted(read.items()) if own is not None}
