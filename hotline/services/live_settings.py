"""Saving retrieval settings as the live ones, and going back to earlier ones: always by way of the golden questions."""

from __future__ import annotations

from django.utils import timezone

from hotline.errors import DeskError, LiveChanged
from hotline.golden_changes import find_newest
from hotline.instructions import is_template
from hotline.live_settings import get_live_settings
from hotline.models import GoldenRun, LexicalModelVersion, SavedSettings, User
from hotline.retrieval_settings import RetrievalSettings, SettingsError
from hotline.review_policy import drop_thresholds
from hotline.services.golden_runs import propose_change
from reranking.lexical import NAME as LEXICAL


def find_saved() -> int:
    """The number of the live settings, which a form carries along; 0: the deployment's own."""
    return find_newest(SavedSettings.objects) or 0


def save_settings(*, settings: RetrievalSettings, note: str, by: User, opened: int | None = None) -> GoldenRun:
    """Live where no golden figure falls, else held; the run says which. Raises DeskError for what cannot be live.

    `opened`: what `find_saved` said when the form was opened. Raises LiveChanged where it says something else now.
    """
    _refuse_changed(opened)
    if settings.index:
        raise DeskError("线上设置总是用启用中的索引；换索引请在“知识库 · 索引”页重建。", code="index_not_allowed")
    if settings.instruction and not is_template(settings.instruction):
        raise DeskError("线上设置的指令须是已存的模板，请先存为模板。", code="template_required")
    if settings == get_live_settings():
        raise DeskError("与线上设置相同，没有要保存的改动。", code="nothing_changed")
    proposal, seen = {"settings": settings.to_json()}, {} if opened is None else {"settings": opened or None}
    return propose_change(kind=GoldenRun.Kind.SETTINGS, proposal=proposal, note=note, by=by, opened=seen)


def restore_settings(*, saved: SavedSettings | None, by: User, opened: int | None = None) -> GoldenRun:
    """An earlier row again; None: the deployment's own. Raises as save_settings."""
    try:
        settings = RetrievalSettings.from_json(saved.settings) if saved else RetrievalSettings()
    except SettingsError as error:
        raise DeskError(f"这份设置已不能使用：{error}", code="settings_unusable") from error
    name = f"{timezone.localtime(saved.at):%Y-%m-%d %H:%M} 的设置" if saved else "部署时的设置"
    return save_settings(settings=settings, note=f"恢复 {name}", by=by, opened=opened)


def restore_model(*, version: LexicalModelVersion | None, by: User, opened: int | None = None) -> GoldenRun:
    """Earlier coefficients again; None: the deployment's. Raises DeskError where they are live already.

    Thresholds found for the ones they replace go; until verdicts on them are there, they bring their own.
    `opened`: the number of the newest version when the form was opened, 0 without any. Raises LiveChanged.
    """
    newest = LexicalModelVersion.objects.order_by("-id").first()
    if newest and opened not in (None, newest.pk):
        raise LiveChanged(f"词法重排系数已由 {newest.by or '系统'} 换过")
    content = version.content if version else {}
    if (newest.content if newest else {}) == content:
        raise DeskError("这份系数正在使用。", code="nothing_changed")
    wanted = drop_thresholds(get_live_settings(), LEXICAL)
    proposal = {"settings": wanted.to_json(), "model": content}
    note = f"恢复系数 {version.revision}" if version and version.revision else "恢复部署时的系数"
    seen = {} if opened is None else {"model": opened or None}
    return propose_change(kind=GoldenRun.Kind.LEARNING, proposal=proposal, note=note, by=by, opened=seen)


def _refuse_changed(opened: int | None) -> None:
    if opened is None or opened == find_saved():
        return
    saved = SavedSettings.objects.select_related("by").first()
    who = f"已由 {saved.by or '系统'} 在 {timezone.localtime(saved.at):%m-%d %H:%M} 改过" if saved else "有改动"
    note = f"（{saved.note}）" if saved and saved.note else ""
    raise LiveChanged(f"线上设置{who}{note}")
