"""Saving retrieval settings as the live ones, and going back to earlier ones: always by way of the golden questions."""

from __future__ import annotations

from django.utils import timezone

from hotline.errors import DeskError
from hotline.instructions import is_template
from hotline.live_settings import get_live_settings
from hotline.models import GoldenRun, LexicalModelVersion, SavedSettings, User
from hotline.retrieval_settings import RetrievalSettings, SettingsError
from hotline.review_policy import drop_thresholds
from hotline.services.golden_runs import propose_change
from reranking.lexical import NAME as LEXICAL


def save_settings(*, settings: RetrievalSettings, note: str, by: User) -> GoldenRun:
    """Live where no golden figure falls, else held; the run says which. Raises DeskError for what cannot be live."""
    if settings.index:
        raise DeskError("线上设置总是用启用中的索引；换索引请在“知识库 · 索引”页重建。", code="index_not_allowed")
    if settings.instruction and not is_template(settings.instruction):
        raise DeskError("线上设置的指令须是已存的模板，请先存为模板。", code="template_required")
    if settings == get_live_settings():
        raise DeskError("与线上设置相同，没有要保存的改动。", code="nothing_changed")
    return propose_change(kind=GoldenRun.Kind.SETTINGS, proposal={"settings": settings.to_json()}, note=note, by=by)


def restore_settings(*, saved: SavedSettings | None, by: User) -> GoldenRun:
    """An earlier row again; None: the deployment's own. Raises DeskError."""
    try:
        settings = RetrievalSettings.from_json(saved.settings) if saved else RetrievalSettings()
    except SettingsError as error:
        raise DeskError(f"这份设置已不能使用：{error}", code="settings_unusable") from error
    name = f"{timezone.localtime(saved.at):%Y-%m-%d %H:%M} 的设置" if saved else "部署时的设置"
    return save_settings(settings=settings, note=f"恢复 {name}", by=by)


def restore_model(*, version: LexicalModelVersion | None, by: User) -> GoldenRun:
    """Earlier coefficients again; None: the deployment's. Raises DeskError where they are live already.

    Thresholds found for the ones they replace go; until verdicts on them are there, they bring their own.
    """
    newest = LexicalModelVersion.objects.order_by("-id").first()
    content = version.content if version else {}
    if (newest.content if newest else {}) == content:
        raise DeskError("这份系数正在使用。", code="nothing_changed")
    wanted = drop_thresholds(get_live_settings(), LEXICAL)
    proposal = {"settings": wanted.to_json(), "model": content}
    note = f"恢复系数 {version.revision}" if version and version.revision else "恢复部署时的系数"
    return propose_change(kind=GoldenRun.Kind.LEARNING, proposal=proposal, note=note, by=by)
