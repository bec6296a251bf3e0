"""Two trials side by side, as the laboratory's page shows them: places, scores in parts, a picture, advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings

from hotline import labels, presentation
from hotline.explanations import Explanation, explain_trial
from hotline.highlighting import highlight
from hotline.lab_advice import TOP, Advice, Described, advise
from hotline.lab_chart import Chart, draw_first_stage, draw_scores
from hotline.lab_pages import describe_settings
from hotline.trials import Trial, TrialDocument
from kb.models import DocumentVersion
from kb.selectors import load_versions
from reranking.lexical import NAME as LEXICAL

EXCERPT = 90


@dataclass(frozen=True, slots=True)
class Movement:
    """How a document stands against the other column; `kind`: up, down, same or new."""

    kind: str
    text: str
    said: str


@dataclass(frozen=True, slots=True)
class TrialCard:
    document: TrialDocument
    movement: Movement | None
    bar: presentation.ScoreBar
    excerpt: tuple[presentation.Run, ...]
    explanation: Explanation | None
    region: str


@dataclass(frozen=True, slots=True)
class Column:
    """One side of a comparison."""

    trial: Trial
    summary: list[str]
    reranker: str
    cards: tuple[TrialCard, ...]
    chart: Chart | None
    advice: list[Advice]
    notices: list[str]
    reasons: list[str]
    stages: str
    wordings: list[str]

    @property
    def ignores_instruction(self) -> bool:
        """Whether an instruction was given to a reranker that reads none."""
        ranked_by = self.trial.reranker.name if self.trial.reranker else ""
        return bool(self.trial.settings.instruction) and ranked_by in {LEXICAL, ""}


def build_columns(trials: Sequence[Trial], *, as_of: date, departments: tuple[str, ...] | None) -> tuple[Column, ...]:
    """Movements are marked in every column but the first, against the first. Raises SearchUnavailable."""
    first = {document.document_id: document.rank for document in trials[0].documents}
    return tuple(
        _build_column(trial, first if number else None, as_of=as_of, departments=departments)
        for number, trial in enumerate(trials)
    )


def describe_movement(rank: int, other: int | None) -> Movement:
    """A place against the one in the other column, None where it is not there."""
    if other is None:
        return Movement("new", "新", "左列没有")
    if rank == other:
        return Movement("same", "=", "与左列同名次")
    if rank < other:
        return Movement("up", f"↑{other - rank}", f"比左列上升 {other - rank} 位")
    return Movement("down", f"↓{rank - other}", f"比左列下降 {rank - other} 位")


def _build_column(
    trial: Trial, first: Mapping[int, int] | None, *, as_of: date, departments: tuple[str, ...] | None
) -> Column:
    shown = trial.documents[: settings.RESULT_LIMIT]
    explanations = explain_trial(
        trial, [document.version_id for document in shown], as_of=as_of, departments=departments
    )
    versions = load_versions(document.version_id for document in shown)
    calibrated = bool(trial.reranker and trial.reranker.calibrated)
    return Column(
        trial=trial,
        summary=describe_settings(trial.settings),
        reranker=labels.name_reranker(trial.reranker.name) if trial.reranker else "没有重排",
        cards=_build_cards(trial, shown, first, explanations, versions, calibrated=calibrated),
        chart=_draw(trial, calibrated=calibrated),
        advice=_advise(trial, shown, versions, calibrated=calibrated),
        notices=labels.name_codes(trial.notices, {**labels.REASONS, **labels.NOTICES}),
        reasons=labels.name_codes(trial.decision.reasons, labels.REASONS) if trial.reranker else [],
        stages=" · ".join(
            f"{labels.STAGES[name]} {value:g} ms"
            for name, value in trial.milliseconds.items()
            if value or name != "rerank"
        ),
        wordings=[wording.text for wording in trial.wordings if wording.is_used],
    )


def _build_cards(
    trial: Trial,
    shown: Sequence[TrialDocument],
    first: Mapping[int, int] | None,
    explanations: Mapping[int, Explanation],
    versions: Mapping[int, DocumentVersion],
    *,
    calibrated: bool,
) -> tuple[TrialCard, ...]:
    bars = presentation.make_bars(
        relevance=[document.relevance_score for document in shown],
        log_odds=[document.log_odds for document in shown],
        first_stage=[document.first_stage_features.get("fused", 0.0) for document in shown],
        calibrated=calibrated,
    )
    return tuple(
        TrialCard(
            document=document,
            movement=None if first is None else describe_movement(document.rank, first.get(document.document_id)),
            bar=bar,
            excerpt=_mark(trial.searched, document),
            explanation=explanations.get(document.version_id),
            region=versions[document.version_id].region if document.version_id in versions else "",
        )
        for document, bar in zip(shown, bars, strict=True)
    )


def _mark(question: str, document: TrialDocument) -> tuple[presentation.Run, ...]:
    spans = highlight(question, document.passage_text, title=document.title, limit=1)
    return presentation.excerpt_runs(document.passage_text, [(s.start, s.end) for s in spans], limit=EXCERPT)


def _draw(trial: Trial, *, calibrated: bool) -> Chart | None:
    scores = [document.log_odds for document in trial.documents if document.log_odds is not None]
    if scores:
        return draw_scores(scores, calibrated=calibrated, threshold=trial.decision.threshold)
    return draw_first_stage([document.first_stage_features.get("fused_share", 0.0) for document in trial.documents])


def _advise(
    trial: Trial,
    shown: Sequence[TrialDocument],
    versions: Mapping[int, DocumentVersion],
    *,
    calibrated: bool,
) -> list[Advice]:
    levels = dict(DocumentVersion.Level.choices)
    top = [versions[document.version_id] for document in shown[:TOP] if document.version_id in versions]
    return advise(
        relevance=[document.relevance_score for document in trial.documents],
        calibrated=calibrated,
        is_reranked=trial.reranker is not None,
        gap=trial.decision.gap,
        threshold=trial.decision.threshold,
        is_sent=trial.decision.needs_review,
        top=[
            Described(
                version.title, version.region, version.category, str(levels[version.level]) if version.level else ""
            )
            for version in top
        ],
    )
