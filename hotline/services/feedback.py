"""Thumbs on results."""

from __future__ import annotations

from hotline.models import Feedback, Result, User


def give_feedback(*, result: Result, is_helpful: bool, by: User) -> Feedback:
    """One thumb a person and result; a second one replaces the first."""
    feedback, _ = Feedback.objects.update_or_create(result=result, by=by, defaults={"is_helpful": is_helpful})
    return feedback
