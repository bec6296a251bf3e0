"""What people write beside things is stored as tickets' notes are: without anybody's personal data."""

from __future__ import annotations

import pytest

from hotline import golden
from hotline.masking import mask_note
from hotline.models import AuditEvent, User
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import golden_runs
from hotline.services.dictionaries import put_live
from hotline.services.golden_questions import add_golden_question, change_golden_question
from hotline.services.lab_runs import create_run
from hotline.services.live_settings import save_settings
from kb.models import DocumentVersion
from kb.services.dictionary_drafts import digest_drafts, draft_new_entry

pytestmark = pytest.mark.django_db
NOTE = " 李先生 13812345678 来电要求 "
MASKED = "李先生 138****5678 来电要求"
STRICT = RetrievalSettings(first_share_threshold=0.99)
Policies = dict[str, DocumentVersion]


def test_note_is_trimmed_masked_and_cut() -> None:
    assert mask_note(NOTE, 200) == MASKED
    assert mask_note("\0好\0" + 300 * "长", 200) == "好" + 199 * "长"


def test_notes_of_golden_questions(policies: Policies, agent: User) -> None:
    right = [policies["lift"].document_id]
    row = add_golden_question(question="电梯补贴", document_ids=right, by=agent, note=NOTE)
    assert row.note == MASKED

    change_golden_question(row=row, question="电梯", document_ids=right, category="", note=f"又：{NOTE}", by=agent)
    row.refresh_from_db()
    assert row.note == f"又： {MASKED}"


def test_notes_of_changes(policies: Policies, agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    add_golden_question(question="电梯补贴", document_ids=[policies["lift"].document_id], by=agent)
    monkeypatch.setattr(golden, "find_fallen", lambda before, after: ("top1",))
    run = golden_runs.override_run(run=save_settings(settings=STRICT, note=NOTE, by=agent), note=NOTE, by=agent)

    assert (run.note, run.override_note) == (MASKED, MASKED)
    assert AuditEvent.objects.get(action="golden_override").details["note"] == MASKED


@pytest.mark.usefixtures("released")
def test_note_of_a_dictionary_release(agent: User) -> None:
    draft_new_entry(values={"kind": "synonym", "text": "加电梯", "other": "加装电梯", "weight": "0.9"}, by=agent)
    release = put_live(by=agent, drafts_sha256=digest_drafts(), note=NOTE, is_override=True)

    assert release.note == MASKED
    assert AuditEvent.objects.get(action="dictionaries_released").details["note"] == MASKED


def test_cells_of_a_file_without_a_header_and_its_name(policies: Policies, agent: User) -> None:
    """A file of 诉求 and 来电号码: the numbers stand where policies would."""
    data = "\n".join(f"云岚市加装电梯补贴多少{number},13812345678" for number in range(50)).encode()
    run = create_run(name="13812345678来电.csv", data=data, settings=RetrievalSettings(reranker="none"), by=agent)

    assert run.name == "138****5678来电.csv"
    assert set(run.rows.values_list("unknown_answers", flat=True)) == {"138****5678"}
