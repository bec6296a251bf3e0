"""A reviewer's verdict: once, on the lookup's own results."""

from __future__ import annotations

import pytest

from hotline.errors import DeskError, WrongState
from hotline.models import AuditEvent, SecondaryReview, User
from hotline.services.lookups import start_lookup
from hotline.services.reviews import decide_review
from kb.models import DocumentVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def review(policies: dict[str, DocumentVersion]) -> SecondaryReview:
    return SecondaryReview.objects.create(lookup=start_lookup(question="云岚市电梯补贴", by=None))


def test_verdict_names_the_right_results(review: SecondaryReview, agent: User) -> None:
    right = review.lookup.results.all()[0]
    decided = decide_review(review=review, picked=[right.pk], note="见第二条，电话13812345678", by=agent)

    assert (decided.state, decided.verdict, decided.reviewer) == ("decided", "confirmed", agent)
    assert list(decided.picked.all()) == [right]
    assert "13812345678" not in decided.note
    assert AuditEvent.objects.get(action="review_decided").by == agent


def test_none_is_a_verdict(review: SecondaryReview, agent: User) -> None:
    assert decide_review(review=review, picked=[], note="", by=agent).verdict == "none_right"


def test_decided_once(review: SecondaryReview, agent: User) -> None:
    decide_review(review=review, picked=[], note="", by=agent)
    with pytest.raises(WrongState):
        decide_review(review=review, picked=[], note="", by=agent)


def test_results_of_another_lookup_are_refused(review: SecondaryReview, agent: User) -> None:
    other = start_lookup(question="云岚市漏水", by=None).results.all()[0]
    with pytest.raises(DeskError):
        decide_review(review=review, picked=[other.pk], note="", by=agent)
    review.refresh_from_db()
    assert review.state == "waiting"
