"""The secondary-review desk: a reviewer's verdict on a doubtful lookup."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from hotline.errors import DeskError, WrongState
from hotline.masking import mask_personal_data
from hotline.models import SecondaryReview, User
from hotline.services.audit import record_event


@transaction.atomic
def decide_review(*, review: SecondaryReview, picked: Collection[int], note: str, by: User) -> SecondaryReview:
    """`picked`: ids of the right results; none means that none is right.

    Raises WrongState where it is decided already, DeskError for a result of another lookup.
    """
    review = SecondaryReview.objects.select_for_update().get(pk=review.pk)
    if review.state != SecondaryReview.State.WAITING:
        raise WrongState(f"这条检索{review.get_state_display()}，不能再次复核。")
    results = list(review.lookup.results.filter(pk__in=picked))
    if len(results) != len(set(picked)):
        raise DeskError("所选结果不属于这条检索。", code="foreign_result")
    review.state = SecondaryReview.State.DECIDED
    review.verdict = SecondaryReview.Verdict.CONFIRMED if results else SecondaryReview.Verdict.NONE_RIGHT
    review.note = mask_personal_data(note.strip())
    review.reviewer = by
    review.decided_at = timezone.now()
    review.save()
    review.picked.set(results)
    record_event(action="review_decided", subject=review, by=by, verdict=review.verdict)
    return review
