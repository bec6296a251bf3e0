"""JSON that no caller means is refused, and never a fault of the server."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db
DEEP = "[" * 100_000


@pytest.mark.parametrize("body", [DEEP, '{"question": ' + DEEP, '{"question": ' + "9" * 5000 + "}", "[1]", "null"])
@pytest.mark.parametrize("address", ["/api/v1/lookups", "/api/v1/lab/compare", "/api/v1/rerank"])
def test_body_is_refused(client: APIClient, address: str, body: str) -> None:
    assert client.post(address, body, content_type="application/json").status_code == 400


@pytest.mark.parametrize("sent", [DEEP, '{"rankings": [{}]}', '{"gap_base_threshold": 1' + "0" * 400 + "}", '"x"'])
def test_settings_are_refused(client: APIClient, sent: str) -> None:
    data = {"file": SimpleUploadedFile("问题.csv", b"x"), "settings": sent}

    assert client.post("/api/v1/lab/runs", data, format="multipart").status_code == 400


@pytest.mark.parametrize("sent", ['{"index": "a\\u0000"}', '{"instruction": "\\ud800"}', '{"\\ud800": 1}'])
def test_settings_with_what_cannot_be_stored_are_refused(client: APIClient, sent: str) -> None:
    body = '{"question": "电梯", "first": ' + sent + "}"

    assert client.post("/api/v1/lab/compare", body, content_type="application/json").status_code == 400
