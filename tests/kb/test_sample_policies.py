"""The sample policies, imported as a new user imports them: what is in force, and whether citizens' questions find it.

Runs on whichever database and search engine the settings name.
"""

from __future__ import annotations

import json
import shutil
from datetime import date

import pytest

from kb import indexing
from kb.models import DocumentVersion
from kb.retrieval import retrieve
from kb.samples import FILES_DIR, QUESTIONS_FILE
from kb.search.types import SearchEngine, SearchFilter
from kb.services.imports import import_paths
from kb.status import Status

TODAY = date(2026, 11, 21)
OLD_ALLOWANCE = "云人社规〔2022〕2号"  # a DOC file: only where LibreOffice is
NOT_IN_FORCE = {
    "云府办规〔2022〕6号": Status.REPEALED,
    OLD_ALLOWANCE: Status.REPEALED,
    "云财规〔2023〕2号": Status.EXPIRED,
    "云发改规〔2019〕4号": Status.EXPIRED,
    "云医保〔2024〕17号": Status.EXPIRED,
    "云府规〔2026〕9号": Status.NOT_YET_IN_FORCE,
}

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def imported(engine: SearchEngine) -> SearchEngine:
    """The engine with the samples in its live index."""
    refused = [outcome for outcome in import_paths(paths=[FILES_DIR], by=None) if outcome.code]
    assert {outcome.code for outcome in refused} <= {"converter_missing"}
    indexing.reconcile_index()
    return engine


def find_titles(engine: SearchEngine, question: str, as_of: date | None) -> list[str]:
    found = retrieve(engine, question, SearchFilter(as_of=as_of), limit=10)
    titles = dict(DocumentVersion.objects.values_list("pk", "title"))
    return [titles[hit.version_id] for hit in found.documents]


def test_samples_are_imported_found_and_dated(imported: SearchEngine) -> None:
    expected = (
        dict(NOT_IN_FORCE) if shutil.which("soffice") else {k: v for k, v in NOT_IN_FORCE.items() if k != OLD_ALLOWANCE}
    )
    versions = DocumentVersion.objects.all()
    statuses = {version.document_number: version.status_on(TODAY) for version in versions}

    assert {number: status for number, status in statuses.items() if status != Status.IN_FORCE} == expected
    assert all(version.issuer and version.issued_on and version.effective_on for version in versions)
    assert {version.level for version in versions} == {"city", "district"}

    questions = [json.loads(line) for line in QUESTIONS_FILE.read_text(encoding="utf-8").splitlines()]
    found = [(each["title"], find_titles(imported, each["question"], TODAY)) for each in questions]
    assert sum(title in titles[:5] for title, titles in found) >= 0.95 * len(found)
    assert sum(title in titles[:1] for title, titles in found) >= 0.75 * len(found)

    settlement = "云岚市人民政府关于印发云岚市积分入户管理办法的通知"
    assert settlement not in find_titles(imported, "积分入户要多少分", TODAY)
    assert find_titles(imported, "积分入户要多少分", date(2027, 3, 1))[0] == settlement
    assert "云岚市机动车停放服务收费管理暂行规定" in find_titles(imported, "路边停车收费", date(2023, 5, 1))
