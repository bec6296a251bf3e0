"""The list of policies, a policy's versions, and the index."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from kb import tasks
from kb.models import IndexVersion
from kb.page_selectors import list_versions
from kb.status import Status
from tests.factories import TEXT, make_version

pytestmark = pytest.mark.django_db
DAY = date(2026, 6, 15)
ENDED = {Status.REPEALED, Status.SUPERSEDED, Status.EXPIRED}


def fetch(client: Client, **query: str) -> str:
    return client.get(reverse("kb:documents"), query).content.decode()


def test_the_status_filter_is_the_rule_of_the_status_itself() -> None:
    days = [None, DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    for number, (starts, expires, repealed, superseded) in enumerate(itertools.product(days, repeat=4)):
        make_version(
            f"办法{number}",
            str(number),
            effective_on=starts,
            expires_on=expires,
            repealed_on=repealed,
            superseded_on=superseded,
        )
    everything = list(list_versions(day=DAY))

    for name, statuses in (
        ("in_force", {Status.IN_FORCE}),
        ("not_yet_in_force", {Status.NOT_YET_IN_FORCE}),
        ("ended", ENDED),
    ):
        expected = {version.pk for version in everything if version.status_on(DAY) in statuses}
        assert {version.pk for version in list_versions(status=name, day=DAY)} == expected


@pytest.mark.parametrize("wanted", ["加装电梯", "8号", "住建局"])
def test_it_finds_by_title_number_and_issuer(client: Client, wanted: str) -> None:
    make_version("加装电梯办法", document_number="云府办规〔2025〕8号", issuer="云岚市住建局")
    make_version("另一办法", TEXT + "另")

    page = fetch(client, q=wanted)

    assert "加装电梯办法" in page
    assert "另一办法" not in page


def test_drafts_are_ticked_and_published(client: Client) -> None:
    wanted, other = make_version("甲办法", state="draft"), make_version("乙办法", TEXT + "乙", state="draft")
    assert f'name="version" value="{wanted.pk}"' in fetch(client, status="draft")

    response = client.post(reverse("kb:publish"), {"version": [wanted.pk]}, follow=True)

    assert "已发布 1 项" in response.content.decode()
    wanted.refresh_from_db()
    other.refresh_from_db()
    assert (wanted.state, other.state) == ("published", "draft")


def test_publishing_nothing_is_said(client: Client) -> None:
    response = client.post(reverse("kb:publish"), {})

    assert response.status_code == 400
    assert "请先勾选要发布的草稿。" in response.content.decode()


def test_withdrawn_and_soon_expiring_are_told_apart(client: Client) -> None:
    make_version("撤回的", state="withdrawn")
    make_version("快到期的", TEXT + "快", expires_on=timezone.localdate() + timedelta(days=5))

    assert "已撤回" in fetch(client, status="withdrawn")
    assert "还有 5 天失效" in fetch(client, status="in_force")


def test_an_empty_knowledge_base_says_where_to_begin(client: Client) -> None:
    assert "上传文件" in fetch(client)


def test_a_policys_versions_have_their_status_on_the_day_asked(client: Client) -> None:
    old = make_version("旧版", effective_on=date(2020, 1, 1), superseded_on=date(2025, 1, 1))
    make_version("新版", TEXT + "新", document=old.document, effective_on=date(2025, 1, 1))
    address = reverse("kb:document", args=[old.document_id])

    then = client.get(address, {"day": "2022-06-01"}).content.decode()
    now = client.get(address).content.decode()

    assert "尚未施行" in then
    assert "已被新版取代" not in then
    assert "已被新版取代" in now
    assert then.index("第 2 版") < then.index("第 1 版")


def test_a_wrong_day_is_said(client: Client) -> None:
    version = make_version()

    page = client.get(reverse("kb:document", args=[version.document_id]), {"day": "明天"}).content.decode()

    assert "日期应写作" in page


def test_queries_do_not_grow_with_policies(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(15):
        make_version(f"办法{number}", TEXT + str(number))
    fetch(client)

    with django_assert_num_queries(6):
        fetch(client)


def test_the_index_page_shows_each_version_with_its_progress(client: Client) -> None:
    IndexVersion.objects.create(
        name="passages-2", engine="embedded", dictionary_sha256="0" * 64, documents_total=200, documents_done=50
    )
    IndexVersion.objects.create(name="passages-1", engine="embedded", state="live", dictionary_sha256="1" * 64)

    page = client.get(reverse("kb:index")).content.decode()

    assert "50 / 200" in page
    assert "使用中" in page
    assert 'hx-trigger="every 2s"' in page


def test_the_index_page_stops_asking_when_nothing_is_built(client: Client) -> None:
    IndexVersion.objects.create(name="passages-1", engine="embedded", state="live", dictionary_sha256="1" * 64)

    fragment = client.get(reverse("kb:index"), headers={"HX-Request": "true"}).content.decode()

    assert "hx-trigger" not in fragment
    assert "<html" not in fragment


def test_a_rebuild_is_asked_of_the_worker(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(tasks.reindex_all, "apply_async", asked.append)

    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(reverse("kb:index"), follow=True)

    assert asked == [()]
    assert "已请求重建索引" in response.content.decode()
    index = IndexVersion.objects.get()
    assert (index.state, index.heartbeat_at) == ("building", None)
