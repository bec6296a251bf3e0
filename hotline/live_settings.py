"""The retrieval settings and the lexical coefficients that are live, as the newest rows say."""

from __future__ import annotations

import logging

from django.conf import settings

from hotline.hot_value import HotValue
from hotline.models import LexicalModelVersion, SavedSettings
from hotline.retrieval_settings import RetrievalSettings, SettingsError
from reranking.lexical_model import LexicalModel, LexicalModelError, parse_model

logger = logging.getLogger(__name__)


def get_live_settings() -> RetrievalSettings:
    """What an administrator saved last; the deployment's own where nothing was saved or it cannot be read any more."""
    return _settings.get()


def get_learned_model() -> LexicalModel | None:
    """The coefficients learned from use that are live; None: those of the deployment."""
    return _model.get()


def forget_live_values() -> None:
    """After a row was written in this transaction."""
    _settings.forget_on_commit()
    _model.forget_on_commit()


def _newest_settings() -> int | None:
    return SavedSettings.objects.order_by("-id").values_list("pk", flat=True).first()


def _load_settings(key: int | None) -> RetrievalSettings:
    if key is None:
        return RetrievalSettings()
    try:
        return RetrievalSettings.from_json(SavedSettings.objects.values_list("settings", flat=True).get(pk=key))
    except SettingsError:
        logger.exception("saved settings %s cannot be used; the deployment's own are live", key)
        return RetrievalSettings()


def _newest_model() -> int | None:
    """Where the deployment names a file of its own, nothing learned goes before it."""
    if settings.LEXICAL_MODEL_FILE:
        return None
    return LexicalModelVersion.objects.order_by("-id").values_list("pk", flat=True).first()


def _load_model(key: int | None) -> LexicalModel | None:
    content = LexicalModelVersion.objects.values_list("content", flat=True).get(pk=key) if key else None
    if not content:
        return None
    try:
        return parse_model(content)
    except LexicalModelError:
        logger.exception("learned coefficients %s cannot be used; the deployment's own are live", key)
        return None


_settings = HotValue(find_key=_newest_settings, load=_load_settings)
_model = HotValue(find_key=_newest_model, load=_load_model)
