"""A file over the limit is refused by its size, before it is in memory."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.core.files.utils import FileProxyMixin
from django.test import Client
from pytest_django import Settings

from hotline.models import APIKey, LabRun, User
from tests.hotline.api.conftest import make_client

pytestmark = pytest.mark.django_db


class NamedBytes(BytesIO):
    name = "大.csv"


@pytest.fixture
def file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> NamedBytes:
    """One byte more than is taken; what arrives of it cannot be read."""

    def refuse(*_: object) -> bytes:
        raise AssertionError("read before its size was looked at")

    settings.UPLOAD_MAX_MEGABYTES = 1
    monkeypatch.setattr(FileProxyMixin, "read", refuse)
    return NamedBytes(b"x" * (1024 * 1024 + 1))


@pytest.mark.parametrize(
    ("address", "status"),
    [("/lab/runs/", 413), ("/lab/golden/import/", 413), ("/knowledge/dictionaries/import/", 400)],
)
def test_pages_refuse_it(file: NamedBytes, address: str, status: int) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    page = client.post(address, {"file": file, "b-reranker": "none"})

    assert page.status_code == status
    assert "“大.csv”超过 1 MB，请拆分后再上传。" in page.content.decode()
    assert not LabRun.objects.exists()


def test_the_interface_refuses_it(file: NamedBytes) -> None:
    answer = make_client(*APIKey.Scope.values).post("/api/v1/lab/runs", {"file": file}, format="multipart")

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
