"""A version's page: parsed text beside its metadata, corrected with history."""

from __future__ import annotations

from datetime import date

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from hotline.models import User
from kb.models import Department, DocumentVersion, MetadataChange
from tests.factories import TEXT, make_version
from tests.opened_forms import read_opened

pytestmark = pytest.mark.django_db
METADATA = {
    "title": "云岚市物业管理条例",
    "document_number": "",
    "issuer": "",
    "level": "",
    "region": "",
    "category": "",
    "issued_on": "",
    "effective_on": "2024-03-01",
    "expires_on": "",
}


@pytest.fixture
def draft(db: None) -> DocumentVersion:
    return make_version(state="draft", warnings=["没有读出发文字号"])


def fetch(client: Client, version: DocumentVersion, **query: str) -> str:
    return client.get(reverse("kb:version", args=[version.pk]), query).content.decode()


def correct(client: Client, version: DocumentVersion, **changes: object) -> str:
    response = client.post(reverse("kb:version", args=[version.pk]), METADATA | changes, follow=True)
    return response.content.decode()


def test_the_parsed_text_stands_beside_what_was_read_from_it(client: Client, draft: DocumentVersion) -> None:
    page = fetch(client, draft)

    assert "两个工作日内到场维修" in page
    assert "没有读出发文字号" in page
    assert 'name="effective_on" value="2024-03-01"' in page
    assert "草稿" in page


def test_a_correction_is_kept_with_its_history(client: Client, administrator: User, draft: DocumentVersion) -> None:
    page = correct(client, draft, document_number="云府规〔2024〕1号", expires_on="2029-02-28")
    draft.refresh_from_db()

    assert (draft.document_number, draft.expires_on) == ("云府规〔2024〕1号", date(2029, 2, 28))
    change = MetadataChange.objects.get()
    assert change.by == administrator
    assert change.changes == {"document_number": ["", "云府规〔2024〕1号"], "expires_on": [None, "2029-02-28"]}
    assert "元数据已更正" in page
    assert "发文字号：<del>空</del> → <ins>云府规〔2024〕1号</ins>" in page


def test_departments_can_be_chosen(client: Client, draft: DocumentVersion) -> None:
    department = Department.objects.create(code="housing", name="住建")

    correct(client, draft, departments=[department.pk])

    assert list(draft.departments.all()) == [department]


def test_saving_without_a_change_leaves_no_history(client: Client, draft: DocumentVersion) -> None:
    assert "没有需要更正的内容" in correct(client, draft)
    assert MetadataChange.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"effective_on": "三月"}, "日期应写作 2025-03-01。"),
        ({"expires_on": "2020-01-01"}, "失效日期早于施行日期。"),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(
    client: Client, draft: DocumentVersion, changes: dict[str, str], message: str
) -> None:
    response = client.post(reverse("kb:version", args=[draft.pk]), METADATA | {"title": "改了的标题"} | changes)
    page = response.content.decode()

    assert response.status_code == 400
    assert message in page
    assert "<h1>云岚市物业管理条例</h1>" in page
    assert 'value="改了的标题"' in page
    draft.refresh_from_db()
    assert draft.title == "云岚市物业管理条例"


def test_publish_and_withdraw(client: Client, draft: DocumentVersion) -> None:
    client.post(reverse("kb:version_publish", args=[draft.pk]))
    draft.refresh_from_db()
    assert draft.state == "published"

    page = client.post(reverse("kb:version_withdraw", args=[draft.pk]), follow=True).content.decode()

    assert "已撤回，不再被检索到" in page


def test_withdrawing_a_draft_is_a_conflict(client: Client, draft: DocumentVersion) -> None:
    response = client.post(reverse("kb:version_withdraw", args=[draft.pk]))

    assert response.status_code == 409
    assert "只有已发布的版本可以撤回" in response.content.decode()


def test_a_repeal_names_its_day_and_reason(client: Client) -> None:
    version = make_version()

    page = client.post(
        reverse("kb:version_repeal", args=[version.pk]), {"on": "2025-01-01", "reason": "云府〔2025〕1号"}, follow=True
    ).content.decode()

    assert "已废止" in page
    assert "云府〔2025〕1号" in page


@pytest.mark.parametrize("data", [{"on": "", "reason": "甲"}, {"on": "2025-01-01", "reason": ""}])
def test_a_repeal_without_day_or_reason_is_refused(client: Client, data: dict[str, str]) -> None:
    version = make_version()

    assert client.post(reverse("kb:version_repeal", args=[version.pk]), data).status_code == 400
    version.refresh_from_db()
    assert version.repealed_on is None


def test_it_can_be_made_the_newer_version_of_a_policy_that_is_found(client: Client, draft: DocumentVersion) -> None:
    older = make_version("物业管理办法（旧）", TEXT + "旧", document_number="云府规〔2019〕3号")
    assert "物业管理办法（旧）" in fetch(client, draft, find="2019")

    page = client.post(
        reverse("kb:version_chain", args=[draft.pk]), {"document": older.document_id}, follow=True
    ).content.decode()
    draft.refresh_from_db()

    assert draft.document_id == older.document_id
    assert draft.number == 2
    assert "第 2 版" in page


def test_policies_with_the_same_title_are_proposed(client: Client, draft: DocumentVersion) -> None:
    older = make_version(draft.title, TEXT + "旧")

    assert f'name="document" value="{older.document_id}"' in fetch(client, draft)


def test_markup_in_the_text_is_escaped(client: Client) -> None:
    version = make_version("<b>标题</b>", "第一条 <script>alert(1)</script>。\n", warnings=["<img src=x>"])

    page = fetch(client, version)

    assert "<script>alert" not in page
    assert "<b>标题" not in page
    assert "<img" not in page


def test_long_texts_come_in_pages(client: Client) -> None:
    text = "".join(f"第{number}条 {'甲' * 280}。\n" for number in range(1, 60))

    assert "第 1 / 2 页" in fetch(client, make_version(text=text))


def test_a_version_that_is_not_there(client: Client) -> None:
    assert client.get(reverse("kb:version", args=[9])).status_code == 404
    assert client.post(reverse("kb:version_publish", args=[9])).status_code == 404


def test_queries_do_not_grow_with_passages_and_changes(
    client: Client, draft: DocumentVersion, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        correct(client, draft, issuer=f"机关{number}")
    fetch(client, draft)

    with django_assert_num_queries(12):
        fetch(client, draft)


def test_metadata_that_somebody_has_corrected_meanwhile_are_not_overwritten(
    client: Client, draft: DocumentVersion
) -> None:
    opened = read_opened(fetch(client, draft))
    correct(client, draft, issuer="云岚市人民政府")

    page = correct(client, draft, region="云岚市", opened=opened)

    assert "有人改过这里，没有保存" in page
    assert 'value="云岚市"' in page
    draft.refresh_from_db()
    assert (draft.issuer, draft.region) == ("云岚市人民政府", "")
    again = read_opened(page)
    correct(client, draft, issuer="云岚市人民政府", region="云岚市", opened=again)
    draft.refresh_from_db()
    assert (draft.issuer, draft.region) == ("云岚市人民政府", "云岚市")


def test_form_with_a_mistake_still_knows_what_it_was_opened_over(client: Client, draft: DocumentVersion) -> None:
    opened = read_opened(fetch(client, draft))
    correct(client, draft, issuer="云岚市人民政府")

    page = correct(client, draft, effective_on="某日", opened=opened)
    page = correct(client, draft, opened=read_opened(page))

    assert "有人改过这里，没有保存" in page
    draft.refresh_from_db()
    assert draft.issuer == "云岚市人民政府"
