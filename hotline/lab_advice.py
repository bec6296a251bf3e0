"""What the scores of a question say, in plain words: which to ask, what is missing, what to check again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, get_args

TOP = 5
LEAST_SPREAD = 0.05  # of P(yes) among the top: less, and the question does not tell them apart
LEAST_MEAN = 0.6  # of P(yes) of the top: less, and no document really answers
NAMED = 6

Kind = Literal["too_broad", "knowledge_gap", "secondary_review", "unordered", "clear"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Described:
    """What tells a candidate apart: metadata of its version, '' where there is none."""

    title: str
    region: str = ""
    category: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    kind: Kind
    text: str


def advise(
    *,
    relevance: Sequence[float | None],
    calibrated: bool,
    is_reranked: bool,
    gap: float | None,
    threshold: float,
    is_sent: bool,
    top: Sequence[Described],
) -> list[Advice]:
    """`relevance`: P(yes) best first; only a calibrated reranker's levels mean anything.

    `is_sent`: whether the lookup goes to secondary review. `top`: the documents of the first TOP scores.
    """
    if not is_reranked:
        return [Advice("unordered", "没有重排，只有初筛次序：名次说明不了有多相关。")]
    scores = [score for score in relevance[:TOP] if score is not None]
    found = list(_judge_levels(scores, top)) if calibrated and scores else []
    if gap is not None and gap < threshold:
        found.append(
            Advice(
                "secondary_review",
                f"前两名分差 {gap:.2f}，低于阈值 {threshold:.2f}：难分高下，"
                f"{'会送二次校验' if is_sent else '宜再核对；按现行规则不自动送二次校验'}。",
            )
        )
    return found or [Advice("clear", "次序清楚，没有需要提醒的。")]


def _judge_levels(scores: Sequence[float], top: Sequence[Described]) -> Iterator[Advice]:
    if (mean := fmean(scores)) < LEAST_MEAN:
        yield Advice(
            "knowledge_gap",
            f"前 {len(scores)} 名平均相关度 {mean:.2f}，低于 {LEAST_MEAN}："
            "可能缺少相应的政策，或政策写得不明确。建议记为知识缺口，请知识管理员补充。",
        )
    if len(scores) > 1 and (spread := max(scores) - min(scores)) < LEAST_SPREAD:
        yield Advice(
            "too_broad",
            f"前 {len(scores)} 名相关度只差 {spread:.3f}，不到 {LEAST_SPREAD}：问题太宽，请问清{ask_which(top)}",
        )


def ask_which(top: Sequence[Described]) -> str:
    """The questions that would tell the candidates apart, as the end of a sentence."""
    asked = [
        f"{label}（{'、'.join(values[:NAMED])}）"
        for label, values in (
            ("是哪个地区", _distinct(document.region for document in top)),
            ("是哪类业务", _distinct(document.category for document in top)),
            ("是哪一级的规定", _distinct(document.level for document in top)),
        )
        if len(values) > 1
    ]
    if asked:
        return "，".join(asked) + "。"
    titles = _distinct(f"《{document.title}》" for document in top)
    return f"问的是哪一件事：{'、'.join(titles[:3])}等。" if len(titles) > 1 else "具体要办什么事、什么情形。"


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
