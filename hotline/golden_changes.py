"""What each kind of change means: how it is asked on either side of the comparison, and how it is made live."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings as configured
from django.db.models import Manager, QuerySet

from hotline.golden import Side
from hotline.instructions import list_live_keys
from hotline.live_settings import forget_live_values, get_live_settings
from hotline.models import GoldenRun, InstructionTemplate, LexicalModelVersion, SavedSettings, User
from hotline.rerankers import load_deployed_model, load_lexical_model, make_lexical_reranker
from hotline.retrieval_settings import RetrievalSettings
from hotline.review_policy import belong_to
from hotline.services.audit import record_event
from kb.index_gate import approve_index
from kb.live_dictionaries import read_release
from kb.models import IndexVersion
from reranking.lexical_model import LexicalModel, parse_model

Kind = GoldenRun.Kind


def sides_of(run: GoldenRun) -> tuple[Side, Side]:
    """As it is now, and as it would be. Raises SettingsError, LexicalModelError."""
    live = get_live_settings()
    if run.kind == Kind.INDEX:
        return Side(live), Side(replace(live, index=run.proposal["index"]))
    if run.kind == Kind.INSTRUCTION:
        proposal = run.proposal["instruction"]
        return Side(live), Side(live, instructions={proposal["key"]: proposal["text"]})
    proposed = RetrievalSettings.from_json(run.proposal["settings"])
    if "model" not in run.proposal:
        return Side(live), Side(proposed)
    return _with_model(live, load_lexical_model()), _with_model(proposed, read_model(run.proposal["model"]))


def read_model(content: dict[str, Any]) -> LexicalModel:
    """Empty content: the deployment's coefficients. Raises LexicalModelError."""
    return parse_model(content) if content else load_deployed_model()


def find_newest(rows: QuerySet[Any] | Manager[Any]) -> int | None:
    """The number of the row that was made last; None without any."""
    return rows.order_by("-id").values_list("pk", flat=True).first()


def describe_base() -> dict[str, Any]:
    """What is live: a comparison holds for these rows, this dictionary release and this index alone."""
    live = IndexVersion.objects.filter(state=IndexVersion.State.LIVE).order_by("-live_at")
    templates = InstructionTemplate.objects.filter(key__in=list_live_keys(get_live_settings()))
    return {
        "settings": find_newest(SavedSettings.objects),
        "model": find_newest(LexicalModelVersion.objects),
        "instructions": find_newest(templates),
        "dictionary": read_release(),
        "index": live.values_list("name", flat=True).first() or "",
    }


def apply_change(run: GoldenRun, *, by: User | None) -> None:
    """Inside the transaction that marks the run as applied."""
    if run.kind == Kind.INDEX:
        approve_index(run.proposal["index"])
        return
    if run.kind == Kind.INSTRUCTION:
        store_template(**run.proposal["instruction"], by=by, run=run)
        return
    if "model" in run.proposal:
        content = run.proposal["model"]
        model = LexicalModelVersion.objects.create(
            revision=content.get("revision", ""), content=content, is_override=run.is_override, golden_run=run, by=by
        )
        record_event(action="lexical_model_saved", subject=model, by=by, revision=model.revision)
    if run.proposal["settings"] != get_live_settings().to_json():
        saved = SavedSettings.objects.create(
            settings=run.proposal["settings"], note=run.note, is_override=run.is_override, golden_run=run, by=by
        )
        record_event(action="settings_saved", subject=saved, by=by, settings=saved.settings)
    forget_live_values()


def store_template(
    *, key: str, label: str, text: str, by: User | None, run: GoldenRun | None = None
) -> InstructionTemplate:
    """Live from now on; without text the built-in one is again."""
    template = InstructionTemplate.objects.create(
        key=key, label=label, text=text, by=by, golden_run=run, is_override=bool(run and run.is_override)
    )
    record_event(action="instruction_saved", subject=template, by=by, key=key, is_withdrawn=not text)
    return template


def _with_model(settings: RetrievalSettings, model: LexicalModel) -> Side:
    """Ordered by these coefficients whatever is configured, with the thresholds that belong to them."""
    reranker = make_lexical_reranker(model)
    if not belong_to(settings, reranker.info):
        settings = replace(settings, gap_base_threshold=None, first_share_threshold=None, thresholds_by_category={})
    if settings.first_share_threshold is None:
        share = configured.FIRST_SHARE_THRESHOLD
        fitted = model.review.share_threshold if share is None else share
        settings = replace(settings, first_share_threshold=fitted)
    return Side(replace(settings, reranker="configured", thresholds_for=""), reranker=reranker)
