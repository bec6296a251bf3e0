"""Who may see which page of the desk."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from hotline.errors import DeskError
from kb.errors import KnowledgeError
from kb.web import guarded_view

ANSWER_CALLS = "hotline.answer_calls"
REVIEW_LOOKUPS = "hotline.review_lookups"
MANAGE_KNOWLEDGE = "kb.manage_knowledge"
USE_LABORATORY = "hotline.use_laboratory"
CHANGE_SETTINGS = "hotline.change_settings"

desk_view = partial(guarded_view, errors=(DeskError, KnowledgeError))


def redirect_to_search(name: str, chosen: Mapping[str, str]) -> HttpResponse:
    """What was posted to be searched, as an address. Addresses are logged: `chosen` holds nothing unmasked."""
    given = {key: value for key, value in chosen.items() if value}
    return redirect(f"{reverse(name)}?{urlencode(given)}" if given else reverse(name))
