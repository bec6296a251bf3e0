"""Learning from use: the lexical reranker refitted, thresholds found anew; live only where golden figures stay."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from hotline.learning import Label, list_labels
from hotline.live_settings import get_live_settings
from hotline.models import GoldenQuestion, GoldenRun, Lookup, User
from hotline.rerankers import list_lexical_rows, load_lexical_model
from hotline.review_policy import drop_thresholds
from hotline.services.golden_runs import drop_run, propose_change
from hotline.services.reranking import build_request, load_candidates
from hotline.threshold_advice import advise_thresholds, has_moved, with_learned
from reranking.lexical import NAME as LEXICAL
from reranking.lexical_model import LexicalModel
from reranking.lexical_training import LabelledQuestion, TrainingError, train_model

logger = logging.getLogger(__name__)

LEAST_LOOKUPS = 200
LEAST_GOLDEN = 20
FOLDS = 4
BATCH = 16
WEIGHTS = {"verdict": 1.0, "adoption": 1.0, "thumb": 0.5}


@dataclass(slots=True)
class LearningOutcome:
    """What was done and why not more, in Chinese; the runs by which it was proposed."""

    notes: list[str] = field(default_factory=list)
    runs: list[GoldenRun] = field(default_factory=list)


def learn_from_use(*, by: User | None) -> LearningOutcome:
    """Refit, then thresholds. What golden questions hold back stays for an administrator to decide."""
    outcome = LearningOutcome()
    questions = GoldenQuestion.objects.count()
    if questions < LEAST_GOLDEN:
        outcome.notes.append(f"只有 {questions} 个标准问题，至少需要 {LEAST_GOLDEN} 个才能自动生效；没有改动。")
        return outcome
    _drop_stale_runs()
    _refit(outcome, by)
    _move_thresholds(outcome, by)
    for note in outcome.notes:
        logger.info("learning from use: %s", note)
    return outcome


def _refit(outcome: LearningOutcome, by: User | None) -> None:
    if settings.LEXICAL_MODEL_FILE:
        outcome.notes.append("部署指定了 LEXICAL_MODEL_FILE，学到的系数不会生效；词法重排没有重新拟合。")
        return
    labels = [label for label in list_labels() if label.right]
    if len(labels) < LEAST_LOOKUPS:
        outcome.notes.append(
            f"只有 {len(labels)} 次检索有正确答案，至少需要 {LEAST_LOOKUPS} 次；词法重排没有重新拟合。"
        )
        return
    live = load_lexical_model()
    try:
        model, before, after = _fit(labels, live)
    except TrainingError as error:
        outcome.notes.append(str(error))
        return
    outcome.notes.append(
        f"用 {len(labels)} 次检索重新拟合；未参与拟合的检索首位正确率 {before:.1f} → {after:.1f}（%）。"
    )
    if after < before or model.revision == live.revision:
        outcome.notes.append("没有变好，词法重排不变。")
        return
    # Thresholds belong to a revision: the new coefficients bring their own.
    wanted = drop_thresholds(get_live_settings(), LEXICAL)
    proposal = {"settings": wanted.to_json(), "model": model.to_json()}
    note = f"从 {len(labels)} 次检索学习"
    run = propose_change(kind=GoldenRun.Kind.LEARNING, proposal=proposal, note=note, by=by, waits=True)
    outcome.runs.append(run)
    outcome.notes.append(f"新系数 {model.revision}：{run.get_state_display()}。")


def _move_thresholds(outcome: LearningOutcome, by: User | None) -> None:
    advice = advise_thresholds()
    if advice.overall.point is None:
        outcome.notes.append(f"阈值不变：{advice.overall.missing}")
        return
    live = get_live_settings()
    wanted = with_learned(live, advice)
    if not has_moved(live, wanted):
        outcome.notes.append("阈值没有变动。")
        return
    run = propose_change(
        kind=GoldenRun.Kind.SETTINGS,
        proposal={"settings": wanted.to_json()},
        note=f"从 {advice.overall.verdicts} 条复核结论学习阈值",
        by=by,
        waits=True,
    )
    outcome.runs.append(run)
    said = f"{advice.overall.point.threshold:.4g}，分业务 {len(wanted.thresholds_by_category)} 项"
    outcome.notes.append(f"新阈值 {said}：{run.get_state_display()}。")


def _fit(labels: Sequence[Label], live: LexicalModel) -> tuple[LexicalModel, float, float]:
    """The refitted model; Top-1 in percent of the live one and of refits that had not seen the question."""
    questions = [LabelledQuestion(rows, right, WEIGHTS[label.source]) for label, rows, right in load_rows(labels)]
    hits_before = hits_after = 0
    for fold in range(FOLDS):
        model = train_model([item for place, item in enumerate(questions) if place % FOLDS != fold], prior=live)
        for question in questions[fold::FOLDS]:
            hits_before += _is_hit(live, question.rows, question.right)
            hits_after += _is_hit(model, question.rows, question.right)
    share = 100 / (len(questions) or 1)
    fitted = train_model(questions, prior=live, trained_on={"lookups": len(questions), "departs_from": live.revision})
    return fitted, hits_before * share, hits_after * share


def load_rows(labels: Sequence[Label]) -> Iterator[tuple[Label, list[list[float]], list[bool]]]:
    """A label with its candidates' features as they were scored, and which of them are right."""
    for start in range(0, len(labels), BATCH):
        batch = {label.lookup_id: label for label in labels[start : start + BATCH]}
        lookups = list(Lookup.objects.filter(pk__in=batch).order_by("pk").prefetch_related("variants"))
        candidates = load_candidates(lookups)
        for lookup in lookups:
            label, own = batch[lookup.pk], candidates[lookup.pk]
            right = [int(candidate.id) in label.right for candidate in own]
            yield label, list_lexical_rows(build_request(lookup, own)), right


def _is_hit(model: LexicalModel, rows: Sequence[Sequence[float]], right: Sequence[bool]) -> bool:
    scores = model.score(rows)
    return right[max(range(len(scores)), key=scores.__getitem__)]


def _drop_stale_runs() -> None:
    """What earlier nights proposed and nobody let through is overtaken."""
    held = GoldenRun.objects.filter(state=GoldenRun.State.HELD, by=None).exclude(kind=GoldenRun.Kind.INDEX)
    for run in held:
        drop_run(run=run, by=None)
