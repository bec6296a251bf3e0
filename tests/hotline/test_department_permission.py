"""What is for one department is read by nobody else, though a stored lookup found it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from hotline.models import APIKey, Lookup, SecondaryReview, Ticket, User
from kb.models import Department, DocumentVersion
from tests.factories import TEXT, make_lookup, make_review, make_ticket, make_user, make_version
from tests.hotline.api.conftest import make_client

pytestmark = pytest.mark.django_db
SECRET = "第九条 内部办理口径：两个工作日内到场维修。\n"


@pytest.fixture
def housing(db: None) -> Department:
    return Department.objects.create(code="housing", name="住建局")


@pytest.fixture
def lookup(housing: Department) -> Lookup:
    """Asked by someone of the department: a restricted version first, one for everyone second."""
    inside = make_version("内部口径", SECRET)
    inside.departments.set([housing])
    return make_lookup(
        [inside, make_version("公开办法", TEXT)], ticket=make_ticket(external_id="GD-1"), scores=[2.0, 1.0]
    )


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def document_address(lookup: Lookup, rank: int) -> str:
    result = lookup.results.get(rank=rank)
    return reverse("lookup_document", args=[lookup.pk, result.pk, result.passages.all()[0].passage_id])


def desk_pages(lookup: Lookup) -> list[str]:
    assert lookup.ticket
    opened = f"?lookup={lookup.pk}&result={lookup.results.get(rank=1).pk}"
    return [reverse("lookup_results", args=[lookup.pk]), reverse("ticket", args=[lookup.ticket.number]) + opened]


def other_department() -> Department:
    return Department.objects.create(code="civil", name="民政局")


@pytest.mark.parametrize("department", [lambda: None, other_department])
@pytest.mark.parametrize("role", ["agent", "reviewer"])
def test_others_read_only_what_is_for_everyone(
    lookup: Lookup, role: str, department: Callable[[], Department | None]
) -> None:
    client = sign_in(make_user(role, department=department()))
    pages = [client.get(address).content.decode() for address in desk_pages(lookup)]

    assert all("公开办法" in page for page in pages)
    assert not [page for page in pages if "内部口径" in page or "第九条" in page]
    assert client.get(document_address(lookup, 1)).status_code == 404
    assert client.get(document_address(lookup, 2)).status_code == 200


@pytest.mark.parametrize("role", ["agent", "reviewer"])
def test_people_of_the_department_read_all(lookup: Lookup, housing: Department, role: str) -> None:
    client = sign_in(make_user(role, department=housing))

    assert all("内部口径" in client.get(address).content.decode() for address in desk_pages(lookup))
    assert "第九条" in client.get(document_address(lookup, 1)).content.decode()


def test_the_best_readable_document_is_opened_where_none_is_chosen(lookup: Lookup) -> None:
    assert lookup.ticket
    page = sign_in(make_user("agent")).get(reverse("ticket", args=[lookup.ticket.number])).content.decode()

    assert "为规范物业服务，制定本条例" in page
    assert "第九条" not in page


def test_withdrawn_versions_stay_readable(lookup: Lookup) -> None:
    DocumentVersion.objects.update(state="withdrawn")

    assert sign_in(make_user("agent")).get(document_address(lookup, 2)).status_code == 200


def test_a_reviewer_sees_and_picks_only_what_the_department_may_read(lookup: Lookup) -> None:
    review = make_review(lookup)
    client = sign_in(make_user("reviewer"))
    address = reverse("review", args=[review.pk])
    hidden = lookup.results.get(rank=1)

    assert "内部口径" not in client.get(address).content.decode()
    assert client.post(address, {"verdict": "confirmed", "picked": [hidden.pk]}).status_code == 400
    assert SecondaryReview.objects.get().state == "waiting"


def test_a_reviewer_who_manages_the_knowledge_base_sees_all(lookup: Lookup) -> None:
    reviewer = make_user("reviewer")
    reviewer.user_permissions.add(Permission.objects.get(codename="manage_knowledge"))

    page = sign_in(reviewer).get(reverse("review", args=[make_review(lookup).pk])).content.decode()
    assert "内部口径" in page


def test_what_may_not_be_read_is_neither_adopted_nor_judged(lookup: Lookup) -> None:
    assert lookup.ticket
    client, hidden = sign_in(make_user("agent")), lookup.results.get(rank=1)
    chosen = {"result": hidden.pk, "passage": hidden.passages.all()[0].passage_id}

    assert client.post(reverse("ticket_adopt", args=[lookup.ticket.number]), chosen).status_code == 404
    assert client.post(reverse("feedback", args=[hidden.pk]), {"is_helpful": "1"}).status_code == 404
    assert Ticket.objects.get().answer == ""


def test_api_gives_a_key_what_its_department_may_read(lookup: Lookup, housing: Department) -> None:
    client = make_client(*APIKey.Scope.values)

    def titles() -> list[list[str]]:
        read = client.get(f"/api/v1/lookups/{lookup.pk}").json()
        again = client.post("/api/v1/tickets", {"external_id": "GD-1", "question": "漏水"}).json()["lookup"]
        return [[result["document"]["title"] for result in body["results"]] for body in (read, again)]

    assert titles() == [["公开办法"], ["公开办法"]]
    APIKey.objects.update(department=housing)
    assert titles() == [["内部口径", "公开办法"]] * 2
