"""Several people at the same policy at once, which only a server with row locks lets happen."""

from __future__ import annotations

import contextlib
import threading
from datetime import date

import pytest
from django.db import connection

from kb.models import DocumentVersion
from kb.parsing import ParsedDocument, PolicyMetadata
from kb.services import versions
from kb.services.versions import correct_metadata, publish_versions, store_draft, withdraw_version
from tests.at_once import at_once

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="no row locks here: see make test-production"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def meet(monkeypatch: pytest.MonkeyPatch) -> threading.Barrier:
    """Each writer waits here for the other, for a second, after its own write and before it reads the policy."""
    barrier = threading.Barrier(2)
    settle = versions._settle

    def settle_together(*policy_ids: int) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):  # the other waits for a lock, as it should
            barrier.wait(timeout=1)
        settle(*policy_ids)

    monkeypatch.setattr(versions, "_settle", settle_together)
    return barrier


def draft(text: str, *, external_id: str, title: str = "加装电梯办法", **metadata: object) -> DocumentVersion:
    parsed = ParsedDocument(
        external_id=external_id,
        title=title,
        text=text,
        metadata=PolicyMetadata(**metadata),  # type: ignore[arg-type]
    )
    return store_draft(upload=None, document=parsed)


def test_versions_published_at_once_supersede_one_another(meet: threading.Barrier) -> None:
    old = draft("旧文。", external_id="a", effective_on=date(2022, 1, 1))
    new = draft("新文。", external_id="a", effective_on=date(2025, 1, 1))

    at_once(lambda: publish_versions(versions=[old], by=None), lambda: publish_versions(versions=[new], by=None))

    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.superseded_on, new.superseded_on) == (date(2025, 1, 1), None)


def test_correction_and_withdrawal_at_once_are_both_seen(meet: threading.Barrier) -> None:
    first, second, third = (
        draft(f"第{year}版。", external_id="a", effective_on=date(year, 1, 1)) for year in (2021, 2022, 2023)
    )
    meet.abort()
    publish_versions(versions=[first, second, third], by=None)
    meet.reset()

    at_once(
        lambda: withdraw_version(version=second, by=None),
        lambda: correct_metadata(version=third, changes={"effective_on": date(2024, 1, 1)}, by=None),
    )

    first.refresh_from_db()
    assert first.superseded_on == date(2024, 1, 1)


def test_policy_published_at_once_with_the_one_that_repeals_it_is_repealed(meet: threading.Barrier) -> None:
    old = draft("旧文。", external_id="old", title="旧办法")
    new = draft("新文。", external_id="new", title="新办法", effective_on=date(2026, 3, 1), repeals=("《旧办法》",))

    at_once(lambda: publish_versions(versions=[old], by=None), lambda: publish_versions(versions=[new], by=None))

    old.refresh_from_db()
    assert old.repealed_on == date(2026, 3, 1)


def test_policies_that_repeal_each_other_lock_in_one_order(meet: threading.Barrier) -> None:
    one = draft("甲文。", external_id="1", title="甲办法", effective_on=date(2024, 1, 1), repeals=("《乙办法》",))
    two = draft("乙文。", external_id="2", title="乙办法", effective_on=date(2025, 1, 1), repeals=("《甲办法》",))

    at_once(lambda: publish_versions(versions=[one], by=None), lambda: publish_versions(versions=[two], by=None))

    assert DocumentVersion.objects.filter(state="published").exclude(repealed_on=None).count() == 2


@pytest.mark.parametrize("is_known", [False, True])
def test_drafts_of_one_policy_at_once_are_numbered_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    if is_known:
        draft("第零版。", external_id="a")
    barrier = threading.Barrier(2)
    find = versions._find_policy

    def find_together(*args: object) -> object:
        found = find(*args)  # type: ignore[arg-type]
        barrier.wait(timeout=5)
        return found

    monkeypatch.setattr(versions, "_find_policy", find_together)
    at_once(lambda: draft("第一版。", external_id="a"), lambda: draft("第二版。", external_id="a"))

    numbers = sorted(DocumentVersion.objects.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == 2 + is_known
