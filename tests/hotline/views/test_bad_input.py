"""What nobody types but somebody sends: it is refused or left out, and never a fault of the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from hotline.models import User
from kb.models import DictionaryDraft
from kb.web import read_id, read_ids
from tests.factories import make_lookup, make_review, make_version

pytestmark = pytest.mark.django_db
LARGE = ["9" * 19, "9" * 400, "9" * 5000]
ODD = [*LARGE, "²", "٣", "-1", "1e3", ""]


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def test_ids_are_numbers_that_a_database_holds() -> None:
    assert read_ids(["7", *ODD, "8"]) == [7, 8]
    assert read_id("9" * 18) == int("9" * 18)
    assert read_id(None) is None


@pytest.mark.parametrize("value", ODD)
def test_odd_ids_choose_nothing(client: Client, value: str) -> None:
    assert client.post("/knowledge/versions/publish/", {"version": value}).status_code == 400
    assert client.post("/knowledge/versions/publish/", {"all": "1", "upload": value}).status_code == 400
    assert client.post("/knowledge/dictionaries/drafts/drop/", {"draft": value}).status_code == 400
    assert client.get("/lab/runs/compare/", {"run": [value, "1"]}).status_code == 400


@pytest.mark.parametrize("value", ODD)
def test_odd_ids_open_nothing(client: Client, value: str) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])
    review = make_review(lookup)

    assert client.get(f"/lookups/{lookup.pk}/", {"result": value, "passage": value}).status_code == 200
    assert client.post(f"/reviews/{review.pk}/", {"picked": value, "verdict": "confirmed"}).status_code == 400


@pytest.mark.parametrize("value", LARGE[:2])
def test_large_ids_in_addresses_find_nothing(client: Client, value: str) -> None:
    answers = {path: client.get(path.replace("PK", value)).status_code for path in _numbered_addresses()}

    assert len(answers) > 20
    assert set(answers.values()) <= {404, 405}


@pytest.mark.parametrize("value", LARGE)
def test_frequency_of_a_word_is_bounded(client: Client, value: str) -> None:
    page = client.post("/knowledge/dictionaries/add/term/", {"text": "智慧停车", "frequency": value})

    assert page.status_code == 400
    assert not DictionaryDraft.objects.exists()


@pytest.mark.parametrize("address", ["/tickets/%00/", "/tickets/a%00b/notes/", "/api/v1/tickets/%00"])
def test_no_path_has_nul(client: Client, address: str) -> None:
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("address", ["/tickets/?q=", "/knowledge/?q=", "/api/v1/documents?q=", "/lab/golden/?q="])
def test_nul_is_not_looked_for(client: Client, address: str) -> None:
    answer = client.get(f"{address}%2500%00电%%0000梯")

    assert answer.status_code == 200
    assert answer.wsgi_request.GET["q"] == "%00电梯"


def _numbered_addresses() -> Iterator[str]:
    return (f"/{path}" for path in _walk(get_resolver().url_patterns) if "PK" in path)


def _walk(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for item in patterns:
        path = before + str(item.pattern).replace("<int:pk>", "PK")
        if isinstance(item, URLResolver):
            yield from _walk(item.url_patterns, path)
        elif "<" not in path and "^" not in path:
            yield path
