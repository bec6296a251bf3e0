"""What the page frame asks for on every page."""

from __future__ import annotations

from django import template
from django.utils.http import urlencode

from hotline import labels, presentation, selectors
from hotline.models import User
from kb.models import DocumentVersion
from kb.status import Status

register = template.Library()

STEP_CHARACTERS = 14
TONES = {Status.IN_FORCE: "ok", Status.DRAFT: "plain", Status.NOT_YET_IN_FORCE: "doubt"}


@register.simple_tag
def waiting_reviews(user: User) -> int:
    """How many reviews wait, for those who decide them."""
    return selectors.count_waiting_reviews() if user.has_perm("hotline.review_lookups") else 0


@register.simple_tag(takes_context=True)
def page_address(context: template.Context, page: int) -> str:
    """This list's address with another page number."""
    query = context["request"].GET.copy()
    query["page"] = str(page)
    return "?" + urlencode(list(query.lists()), doseq=True)


@register.filter
def policy_text(text: str) -> str:
    return presentation.drop_table_rules(text)


@register.filter
def source_line(answer: str) -> str:
    """Where an adopted answer comes from: its last line."""
    return answer.rpartition("\n——")[2]


@register.filter
def variant_kind(kind: str) -> str:
    return labels.VARIANT_KINDS.get(kind, kind)


@register.filter
def step_kind(kind: str) -> str:
    return labels.STEP_KINDS.get(kind, kind)


@register.filter
def step_text(text: str) -> str:
    """A step's text as a chip holds it: short, and never without anything to see."""
    if text and not (text.isprintable() and text.strip()):
        return "不可见字符" if not text.strip() or len(text) < 3 else " ".join(text.split())[:STEP_CHARACTERS]
    return text if len(text) <= STEP_CHARACTERS else f"{text[:STEP_CHARACTERS]}…"


@register.filter
def removed_kind(key: str) -> str:
    return step_kind(key.partition(":")[0])


@register.filter
def removed_text(key: str) -> str:
    return step_text(key.partition(":")[2])


@register.filter
def tone(status: Status) -> str:
    return TONES.get(status, "danger")


@register.simple_tag
def version_status(version: DocumentVersion) -> presentation.StatusLabel:
    """What a version is today."""
    from django.utils import timezone

    return selectors.describe_version(version, timezone.localdate())


@register.filter
def reason_names(reasons: list[str]) -> str:
    return "；".join(labels.name_codes(reasons, labels.REASONS))


@register.filter
def field_name(name: str) -> str:
    """A version's field as people call it, in the history of corrections."""
    if name == "document":
        return "所属政策"
    names = {
        field.name: str(field.verbose_name)
        for field in DocumentVersion._meta.get_fields()
        if hasattr(field, "verbose_name")
    }
    return names.get(name, name)
