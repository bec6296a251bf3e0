"""One review: the candidates, and the verdict that the agent sees."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from hotline.models import SecondaryReview, User
from tests.factories import TEXT, make_lookup, make_review, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def review(db: None) -> SecondaryReview:
    return make_review(make_lookup([make_version("甲办法"), make_version("乙办法")], scores=[1.0, 0.9]))


def decide(client: Client, review: SecondaryReview, **data: object) -> str:
    return client.post(reverse("review", args=[review.pk]), data, follow=True).content.decode()


def test_it_shows_the_question_why_and_the_candidates_with_whole_passages(
    reviewer_client: Client, review: SecondaryReview
) -> None:
    page = reviewer_client.get(reverse("review", args=[review.pk])).content.decode()

    for text in ("楼上漏水物业不管怎么办", "前两名太接近", "前两名分差 0.42", "甲办法", "乙办法", "排序 词法重排"):
        assert text in page
    assert "为规范物业服务，制定本条例" in page
    assert page.count('name="picked"') == 2


def test_the_right_one_is_picked_and_the_next_follows(
    reviewer_client: Client, reviewer: User, review: SecondaryReview
) -> None:
    following = make_review(make_lookup(question="下一个问题"))
    right = review.lookup.results.get(rank=2)

    page = decide(reviewer_client, review, picked=[right.pk], verdict="confirmed", note="按乙办法")
    review.refresh_from_db()

    assert (review.state, review.verdict, review.note) == ("decided", "confirmed", "按乙办法")
    assert list(review.picked.all()) == [right]
    assert review.reviewer == reviewer
    assert following.lookup.question in page
    assert "以下是下一件" in page


def test_several_may_be_right(reviewer_client: Client, review: SecondaryReview) -> None:
    ids = list(review.lookup.results.values_list("pk", flat=True))

    decide(reviewer_client, review, picked=ids, verdict="confirmed")

    assert review.picked.count() == 2


def test_none_may_be_right_whatever_is_ticked(reviewer_client: Client, review: SecondaryReview) -> None:
    first = review.lookup.results.get(rank=1)

    page = decide(reviewer_client, review, picked=[first.pk], verdict="none_right")
    review.refresh_from_db()

    assert review.verdict == "none_right"
    assert review.picked.count() == 0
    assert "没有其他待复核的检索" in page


def test_to_confirm_nothing_is_refused_and_the_note_is_kept(reviewer_client: Client, review: SecondaryReview) -> None:
    response = reviewer_client.post(reverse("review", args=[review.pk]), {"verdict": "confirmed", "note": "我的说明"})
    page = response.content.decode()

    assert response.status_code == 400
    assert "请先勾选正确的结果" in page
    assert "我的说明" in page
    review.refresh_from_db()
    assert review.state == "waiting"


def test_a_result_of_another_lookup_is_refused(reviewer_client: Client, review: SecondaryReview) -> None:
    foreign = make_lookup([make_version()], scores=[1.0]).results.get()

    response = reviewer_client.post(
        reverse("review", args=[review.pk]), {"verdict": "confirmed", "picked": [foreign.pk]}
    )

    assert response.status_code == 400


def test_two_reviewers_decide_once(reviewer_client: Client, review: SecondaryReview) -> None:
    decide(reviewer_client, review, verdict="none_right")

    response = reviewer_client.post(reverse("review", args=[review.pk]), {"verdict": "none_right"})

    assert response.status_code == 409
    assert "不能再次复核" in response.content.decode()


def test_a_decided_review_can_be_read_but_not_changed(reviewer_client: Client, review: SecondaryReview) -> None:
    decide(reviewer_client, review, verdict="none_right", note="都不对")

    page = reviewer_client.get(reverse("review", args=[review.pk])).content.decode()

    assert "都不对" in page
    assert 'name="verdict"' not in page


def test_with_no_candidates_only_none_can_be_right(reviewer_client: Client) -> None:
    review = make_review(make_lookup([], state="done", reasons=["nothing_found"]))

    page = reviewer_client.get(reverse("review", args=[review.pk])).content.decode()

    assert "初筛没有找到候选" in page
    assert 'value="confirmed"' not in page
    assert 'value="none_right"' in page


def test_the_verdict_needs_the_csrf_token(reviewer: User, review: SecondaryReview) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(reviewer)

    assert client.post(reverse("review", args=[review.pk]), {"verdict": "none_right"}).status_code == 403


def test_queries_do_not_grow_with_candidates(
    reviewer_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    reviews = []
    for count in (1, 10):
        versions = [make_version(f"办法{number}", TEXT + str(number)) for number in range(count)]
        reviews.append(make_review(make_lookup(versions, scores=[1.0 - number / 10 for number in range(count)])))
    address = [reverse("review", args=[review.pk]) for review in reviews]
    reviewer_client.get(address[0])

    for item in address:
        with django_assert_num_queries(12):
            reviewer_client.get(item)
