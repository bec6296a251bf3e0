"""A value that follows the newest row: cheap between checks, new within seconds, at once for the one who wrote."""

from __future__ import annotations

import pytest

from hotline import hot_value
from hotline.hot_value import HotValue
from hotline.live_settings import get_live_settings
from hotline.models import SavedSettings


class Source:
    """A row's id, and how often it was asked for and loaded."""

    def __init__(self) -> None:
        self.key: int | None = 1
        self.asked = self.loaded = 0

    def find(self) -> int | None:
        self.asked += 1
        return self.key

    def load(self, key: int | None) -> str:
        self.loaded += 1
        return f"value {key}"


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def value(source: Source) -> HotValue[str]:
    return HotValue(find_key=source.find, load=source.load)


def test_between_checks_nothing_is_asked(source: Source, value: HotValue[str]) -> None:
    assert [value.get() for _ in range(5)] == ["value 1"] * 5
    assert (source.asked, source.loaded) == (1, 1)


def test_unchanged_key_is_not_loaded_again(
    source: Source, value: HotValue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_value, "CHECK_SECONDS", 0.0)
    for _ in range(5):
        value.get()

    assert (source.asked, source.loaded) == (5, 1)


def test_another_key_is_seen_at_the_next_check(
    source: Source, value: HotValue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    value.get()
    source.key = 2
    assert value.get() == "value 1"

    monkeypatch.setattr(hot_value, "CHECK_SECONDS", 0.0)
    assert value.get() == "value 2"
    source.key = None
    assert value.get() == "value None"


def test_writer_sees_it_at_once(source: Source, value: HotValue[str]) -> None:
    value.get()
    source.key = 2
    value.forget()

    assert value.get() == "value 2"


@pytest.mark.django_db
def test_settings_saved_by_another_process_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_live_settings().reranker == "configured"
    SavedSettings.objects.create(settings={"reranker": "lexical"})  # without a word to this process
    monkeypatch.setattr(hot_value, "CHECK_SECONDS", 0.0)

    assert get_live_settings().reranker == "lexical"


@pytest.mark.django_db
def test_saved_settings_that_cannot_be_read_leave_the_deployments_own(monkeypatch: pytest.MonkeyPatch) -> None:
    SavedSettings.objects.create(settings={"reranker": "no such"})

    assert get_live_settings().reranker == "configured"
