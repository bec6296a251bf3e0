"""Status on a day: the rule for people, the interval for the engine and the query for the database agree."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.models import DocumentVersion, PolicyDocument
from kb.selectors import searchable_versions
from kb.status import Status, ValidityDates, days_left, in_force_interval, status_on

DAY = date(2026, 11, 21)
days = st.dates(date(2020, 1, 1), date(2020, 3, 1))
maybe = st.none() | days
validities = st.builds(ValidityDates, st.booleans(), maybe, maybe, maybe, maybe)


def make(**dates: date) -> ValidityDates:
    return ValidityDates(is_published=True, **dates)


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (make(), Status.IN_FORCE),
        (make(starts_on=DAY), Status.IN_FORCE),
        (make(starts_on=DAY + timedelta(days=1)), Status.NOT_YET_IN_FORCE),
        (make(expires_on=DAY), Status.IN_FORCE),
        (make(expires_on=DAY - timedelta(days=1)), Status.EXPIRED),
        (make(repealed_on=DAY), Status.REPEALED),
        (make(repealed_on=DAY + timedelta(days=1)), Status.IN_FORCE),
        (make(superseded_on=DAY), Status.SUPERSEDED),
        (make(superseded_on=DAY, repealed_on=DAY), Status.REPEALED),
        (make(expires_on=DAY - timedelta(days=9), repealed_on=DAY), Status.EXPIRED),
        (ValidityDates(is_published=False), Status.DRAFT),
    ],
)
def test_status_on_a_day(dates: ValidityDates, expected: Status) -> None:
    assert status_on(dates, DAY) == expected


@given(validities, days)
def test_interval_holds_exactly_the_days_in_force(dates: ValidityDates, day: date) -> None:
    start, until = in_force_interval(dates)

    assert (start <= day < until) == (status_on(dates, day) == Status.IN_FORCE)


def test_days_left_counts_to_the_last_day() -> None:
    assert days_left(make(expires_on=DAY + timedelta(days=3)), DAY) == 3
    assert days_left(make(), DAY) is None


def test_every_status_has_a_label() -> None:
    assert len({status.label for status in Status}) == len(Status)


@pytest.mark.django_db
def test_query_and_rule_choose_the_same_versions() -> None:
    """searchable_versions is the database's wording of status_on."""
    choices = (None, DAY - timedelta(days=1), DAY, DAY + timedelta(days=1))
    number = 0
    for effective in choices:
        for expires in choices:
            for repealed in choices:
                for superseded in choices:
                    for state in ("draft", "published", "withdrawn"):
                        number += 1
                        document = PolicyDocument.objects.create()
                        DocumentVersion.objects.create(
                            document=document,
                            number=1,
                            state=state,
                            title=str(number),
                            text="",
                            effective_on=effective,
                            expires_on=expires,
                            repealed_on=repealed,
                            superseded_on=superseded,
                        )
    expected = {v.pk for v in DocumentVersion.objects.all() if v.status_on(DAY) == Status.IN_FORCE}

    assert set(searchable_versions(as_of=DAY).values_list("pk", flat=True)) == expected
    assert expected
