"""The upload page: many files, each with its state, its reason and a retry."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from hotline.models import User
from kb.models import Upload
from kb.services.uploads import parse_upload
from tests.factories import TEXT, make_upload, make_user, make_version

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def policy_file(name: str = "条例.txt", text: str = TEXT) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, f"云岚市物业管理条例\n{text}".encode())


def send(client: Client, *files: SimpleUploadedFile, **headers: str) -> str:
    response = client.post(reverse("kb:uploads"), {"files": files}, headers=headers, follow=True)
    return response.content.decode()


def test_many_files_are_taken_at_once(client: Client, administrator: User) -> None:
    page = send(client, policy_file("甲.txt", TEXT), policy_file("乙.md", TEXT + "乙"))

    assert {upload.name for upload in Upload.objects.all()} == {"甲.txt", "乙.md"}
    assert all(upload.uploaded_by == administrator for upload in Upload.objects.all())
    assert "甲.txt" in page
    assert "乙.md" in page


def test_the_same_file_twice_is_said_and_not_kept_twice(client: Client) -> None:
    send(client, policy_file("甲.txt"))

    page = send(client, policy_file("换了名字.txt"))

    assert Upload.objects.count() == 1
    assert "内容相同的文件已上传过" in page


def test_what_cannot_be_taken_is_said_and_the_others_are_taken(client: Client, settings: Settings) -> None:
    settings.UPLOAD_MAX_MEGABYTES = 0

    page = send(client, SimpleUploadedFile("空.txt", b""), policy_file("大.txt"))

    assert "“空.txt”是空文件。" in page
    assert "“大.txt”超过 0 MB，未上传。" in page
    listed = client.get(reverse("kb:uploads")).content.decode()
    assert listed.count("未采用") >= 2
    assert "“空.txt”是空文件。" in listed


def test_no_file_is_said(client: Client) -> None:
    response = client.post(reverse("kb:uploads"))

    assert response.status_code == 400
    assert "请先选择文件。" in response.content.decode()


def test_with_javascript_the_row_comes_back(client: Client) -> None:
    page = send(client, policy_file(), SimpleUploadedFile("空.txt", b""), **HTMX)
    upload = Upload.objects.get(state="waiting")

    assert f'<tr id="upload-{upload.pk}" hx-get="{reverse("kb:upload_row", args=[upload.pk])}?seen=waiting"' in page
    assert '<template data-messages><p class="notice error">“空.txt”是空文件。</p></template>' in page
    assert "<html" not in page


def test_a_row_is_sent_again_only_when_its_state_has_changed(client: Client) -> None:
    send(client, policy_file())
    upload = Upload.objects.get()
    address = reverse("kb:upload_row", args=[upload.pk])
    assert client.get(address, {"seen": "waiting"}).status_code == 204

    parse_upload(upload_id=upload.pk)
    row = client.get(address, {"seen": "waiting"}).content.decode()

    assert "已解析" in row
    assert "1 项待发布" in row
    assert "hx-trigger" not in row


def test_a_refused_file_says_why_and_can_be_tried_again(client: Client) -> None:
    upload = make_upload(name="坏.pdf", state="refused", error="文件已损坏，无法打开。")

    assert "文件已损坏，无法打开。" in client.get(reverse("kb:uploads")).content.decode()
    row = client.post(reverse("kb:upload_retry", args=[upload.pk]), headers=HTMX).content.decode()

    assert "等待解析" in row
    upload.refresh_from_db()
    assert upload.state == "waiting"


def test_only_refused_files_can_be_tried_again(client: Client) -> None:
    upload = make_upload(state="parsed")

    response = client.post(reverse("kb:upload_retry", args=[upload.pk]), headers=HTMX)

    assert response.status_code == 409
    assert "只有未采用的文件可以重试" in response.content.decode()


def test_an_uploads_page_lists_its_drafts_and_publishes_them_all(client: Client) -> None:
    upload = make_upload(state="parsed")
    versions = [make_version(f"办法{number}", TEXT + str(number), upload=upload, state="draft") for number in range(3)]

    page = client.get(reverse("kb:upload", args=[upload.pk])).content.decode()
    assert "发布全部 3 项草稿" in page

    response = client.post(reverse("kb:publish"), {"upload": upload.pk, "all": "1"}, follow=True)

    assert "已发布 3 项" in response.content.decode()
    for version in versions:
        version.refresh_from_db()
        assert version.state == "published"


def test_a_file_that_is_not_there(client: Client) -> None:
    assert client.get(reverse("kb:upload", args=[9])).status_code == 404
    assert client.get(reverse("kb:upload_row", args=[9])).status_code == 404


def test_agents_may_not_upload() -> None:
    agent = Client()
    agent.force_login(make_user("agent"))

    assert agent.post(reverse("kb:uploads"), {"files": [policy_file()]}).status_code == 403
    assert Upload.objects.count() == 0


def test_a_file_without_the_csrf_token_is_refused(administrator: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(administrator)

    assert strict.post(reverse("kb:uploads"), {"files": [policy_file()]}).status_code == 403


def test_names_and_reasons_are_escaped(client: Client) -> None:
    make_upload(name="<script>甲</script>.txt", state="refused", error="<img src=x>")

    page = client.get(reverse("kb:uploads")).content.decode()

    assert "<script>甲" not in page
    assert "<img" not in page


def test_queries_do_not_grow_with_files(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(12):
        make_version(f"办法{number}", TEXT + str(number), upload=make_upload(state="parsed"), state="draft")
    client.get(reverse("kb:uploads"))

    with django_assert_num_queries(6):
        client.get(reverse("kb:uploads"))
