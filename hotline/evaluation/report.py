"""What an evaluation found, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hotline.evaluation.metrics import MEASURES

FEWEST_JUDGED = 100
_STAGES = {
    "understanding": "问题理解",
    "first_stage": "初筛",
    "rerank": "重排",
    "highlight": "高亮",
    "total": "合计",
}


@dataclass(frozen=True, slots=True)
class SetFigures:
    """All shares in percent; None where nothing could be measured."""

    queries: int
    first_stage: Mapping[str, float] | None
    reranked: Mapping[str, float] | None
    review: Mapping[str, float | None]
    highlight: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of each set, `all` first, and milliseconds by stage.

    `machine_check`: how many lookups were sent to review, how many of them the machine check could judge and settled
    (counts), and the share in percent of those settled whose first is right.
    """

    sets: Mapping[str, SetFigures]
    milliseconds: Mapping[str, Mapping[str, float]]
    machine_check: Mapping[str, float | None]

    def to_json(self) -> str:
        """One line."""
        content = {
            "sets": {name: asdict(figures) for name, figures in self.sets.items()},
            "milliseconds": self.milliseconds,
            "machine_check": self.machine_check,
        }
        return json.dumps(_round(content), ensure_ascii=False)

    def to_text(self) -> str:
        return "\n".join(
            [*self._list_orders(), "", *self._list_checks(), self._machine_line(), "", *self._list_times()]
        )

    def harmed_sets(self) -> list[str]:
        """Sets large enough to be judged whose Top-1 is lower after reranking than before."""
        return [
            name
            for name, figures in self.sets.items()
            if figures.queries >= FEWEST_JUDGED
            and figures.first_stage
            and figures.reranked
            and figures.reranked["top1"] < figures.first_stage["top1"]
        ]

    def _list_orders(self) -> Iterator[str]:
        yield f"{'set':<10}{'queries':>8}  {'stage':<12}" + "".join(f"{measure:>11}" for measure in MEASURES)
        for name, figures in self.sets.items():
            for stage, row in (("first_stage", figures.first_stage), ("reranked", figures.reranked)):
                shown = "".join(f"{_show(row[measure] if row else None):>11}" for measure in MEASURES)
                yield f"{name:<10}{figures.queries:>8}  {stage:<12}{shown}{_remark(figures)}"

    def _list_checks(self) -> Iterator[str]:
        yield f"{'set':<10}{'sent':>8}{'top1_of_rest':>14}{'best':>8}{'three_best':>12}{'first_passage':>15}"
        for name, figures in self.sets.items():
            review, marked = figures.review, figures.highlight
            yield (
                f"{name:<10}{_show(review['sent']):>8}{_show(review['top1_of_rest']):>14}"
                f"{_show(marked['best']):>8}{_show(marked['three_best']):>12}"
                f"{_show(marked['first_passage']):>15}{_remark(figures)}"
            )

    def _machine_line(self) -> str:
        check = self.machine_check
        return (
            f"机器校验：送复核 {check['sent']} 个，可校验 {check['checked']} 个，通过 {check['settled']} 个，"
            f"其中正确 {_show(check['settled_rightly'])} %"
        )

    def _list_times(self) -> Iterator[str]:
        for stage, row in self.milliseconds.items():
            yield f"{_STAGES.get(stage, stage)}：中位数 {row['median']:.1f} 毫秒，P95 {row['p95']:.1f} 毫秒"


def _remark(figures: SetFigures) -> str:
    return "" if figures.queries >= FEWEST_JUDGED else f"  （不足 {FEWEST_JUDGED} 个问题，仅供参考）"


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _round(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _round(item) for name, item in value.items()}
    return round(value, 2) if isinstance(value, float) else value
