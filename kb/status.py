"""Whether a policy version is in force on a day. Pure; the index filter and the label on the page both rest on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

FIRST_DAY = date.min
NO_END = date.max


class Status(StrEnum):
    DRAFT = "draft"
    IN_FORCE = "in_force"
    NOT_YET_IN_FORCE = "not_yet_in_force"
    REPEALED = "repealed"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    Status.DRAFT: "草稿",
    Status.IN_FORCE: "现行有效",
    Status.NOT_YET_IN_FORCE: "尚未施行",
    Status.REPEALED: "已废止",
    Status.SUPERSEDED: "已被新版取代",
    Status.EXPIRED: "已过有效期",
}


@dataclass(frozen=True, slots=True)
class ValidityDates:
    """`expires_on` is the last day in force; `repealed_on` and `superseded_on` are the first days out of force."""

    is_published: bool
    starts_on: date | None = None
    expires_on: date | None = None
    repealed_on: date | None = None
    superseded_on: date | None = None


def status_on(dates: ValidityDates, day: date) -> Status:
    """Of several ends the earliest says why; on the same day repeal speaks before supersession before expiry."""
    if not dates.is_published:
        return Status.DRAFT
    ends = _ends(dates)
    if ends and ends[0][0] <= day:
        return ends[0][2]
    if dates.starts_on and day < dates.starts_on:
        return Status.NOT_YET_IN_FORCE
    return Status.IN_FORCE


def in_force_interval(dates: ValidityDates) -> tuple[date, date]:
    """First day in force and first day no longer in force. Equal or reversed days mean: never in force."""
    if not dates.is_published:
        return NO_END, FIRST_DAY
    ends = _ends(dates)
    return dates.starts_on or FIRST_DAY, ends[0][0] if ends else NO_END


def days_left(dates: ValidityDates, day: date) -> int | None:
    """Days from `day` to the last day in force; None without an end."""
    _, until = in_force_interval(dates)
    return None if until == NO_END else (until - day).days - 1


def _ends(dates: ValidityDates) -> list[tuple[date, int, Status]]:
    found = []
    if dates.repealed_on:
        found.append((dates.repealed_on, 0, Status.REPEALED))
    if dates.superseded_on:
        found.append((dates.superseded_on, 1, Status.SUPERSEDED))
    if dates.expires_on:
        first_day_after = dates.expires_on if dates.expires_on == date.max else dates.expires_on + timedelta(days=1)
        found.append((first_day_after, 2, Status.EXPIRED))
    return sorted(found)
