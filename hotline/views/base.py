"""Who may see which page of the desk."""

from __future__ import annotations

from functools import partial

from hotline.errors import DeskError
from kb.errors import KnowledgeError
from kb.web import guarded_view

ANSWER_CALLS = "hotline.answer_calls"
REVIEW_LOOKUPS = "hotline.review_lookups"
MANAGE_KNOWLEDGE = "kb.manage_knowledge"
USE_LABORATORY = "hotline.use_laboratory"
CHANGE_SETTINGS = "hotline.change_settings"

desk_view = partial(guarded_view, errors=(DeskError, KnowledgeError))
