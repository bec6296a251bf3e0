"""Reads of the knowledge base."""

from __future__ import annotations

import pytest

from kb.models import PolicyDocument
from kb.selectors import find_documents_by_name
from tests.policies import publish_policy

pytestmark = pytest.mark.django_db


def test_policies_are_found_by_what_people_call_them() -> None:
    first = publish_policy("云岚市物业管理条例", "第一条 本条例。", document_number="云府办规〔2025〕8号").document
    second = publish_policy("云岚市物业管理条例", "第一条 另一件。").document
    PolicyDocument.objects.filter(pk=first.pk).update(external_id="p-1")
    names = ["p-1", str(second.pk), "云岚市物业管理条例", "云府办规[2025] 8号", "没有这样的政策"]

    assert find_documents_by_name(names) == {
        "p-1": {first.pk},
        str(second.pk): {second.pk},
        "云岚市物业管理条例": {first.pk, second.pk},
        "云府办规[2025] 8号": {first.pk},
    }


def test_many_names_are_asked_in_parts() -> None:
    document = publish_policy("云岚市物业管理条例", "第一条 本条例。").document

    found = find_documents_by_name([*(f"政策{number}" for number in range(1500)), "云岚市物业管理条例"])
    assert found == {"云岚市物业管理条例": {document.pk}}
