"""The pages of the dictionaries: search, add, change in place, import, export, history."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from hotline.models import User
from kb.models import DictionaryDraft, DictionaryEntry, DictionaryRelease
from kb.services.dictionaries import release_drafts
from kb.services.dictionary_drafts import digest_drafts, draft_new_entry
from tests.factories import make_user
from tests.opened_forms import read_opened

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def read(client: Client, name: str, *args: object, **query: str) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def send_file(client: Client, text: str, **fields: str) -> str:
    file = SimpleUploadedFile("词典.csv", text.encode("gb18030"))
    return client.post(reverse("kb:dictionary_import"), {"file": file, **fields}, follow=True).content.decode()


def test_before_anything_is_stored_the_page_offers_the_rows_of_the_product(client: Client, db: None) -> None:
    assert "载入随产品的词典" in read(client, "kb:dictionaries")

    page = client.post(reverse("kb:dictionary_sync"), follow=True).content.decode()

    assert "已载入随产品的词典" in page
    assert DictionaryEntry.objects.count() > 3000


def test_entries_are_found_by_word_other_wording_and_kind(client: Client, released: DictionaryRelease) -> None:
    assert "公租房" in read(client, "kb:dictionaries", q="租赁")
    assert "公租房" not in read(client, "kb:dictionaries", q="渗漏")
    assert "公租房" not in read(client, "kb:dictionaries", kind="synonym")
    assert "没有符合条件" in read(client, "kb:dictionaries", state="retired")


def test_the_list_costs_the_same_however_long_it_is(
    client: Client, released: DictionaryRelease, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    entries = [DictionaryEntry(kind="term", text=f"词{number}") for number in range(60)]
    DictionaryEntry.objects.bulk_create(entries)

    with django_assert_max_num_queries(12):
        page = read(client, "kb:dictionaries", page="1")

    assert "共 64 条" in page


def test_an_entry_is_added_as_a_draft(client: Client, released: DictionaryRelease, administrator: User) -> None:
    address = reverse("kb:dictionary_add", args=["synonym"])
    page = client.post(address, {"text": "噪音", "other": "噪声", "weight": "0.9"}, follow=True).content.decode()

    assert "噪音 → 噪声（0.9）" in page
    draft = DictionaryDraft.objects.get()
    assert (draft.action, draft.by) == ("add", administrator)


def test_a_refused_entry_keeps_what_was_typed_and_says_why(client: Client, released: DictionaryRelease) -> None:
    response = client.post(reverse("kb:dictionary_add", args=["spoken"]), {"text": "不给办", "other": "办理"})

    assert response.status_code == 400
    page = response.content.decode()
    assert "否定或数字不同" in page
    assert 'value="不给办"' in page


def test_an_entry_is_changed_in_its_row(client: Client, released: DictionaryRelease) -> None:
    entry = DictionaryEntry.objects.get(text="公租房")
    address = reverse("kb:dictionary_entry", args=[entry.pk])
    form = client.get(address, headers=HTMX).content.decode()
    assert form.startswith(f'<tr id="entry-{entry.pk}"')
    assert 'value="公共租赁住房"' in form

    wrong = client.post(address, {"text": "公租房", "other": ""}, headers=HTMX)
    assert wrong.status_code == 200
    assert "没有填写“全称”" in wrong.content.decode()
    row = client.post(address, {"text": "公租房", "other": "公共租赁房"}, headers=HTMX).content.decode()

    assert "待修改" in row
    entry.refresh_from_db()
    assert entry.other == "公共租赁住房"


def test_an_entry_is_retired_without_javascript(client: Client, released: DictionaryRelease) -> None:
    entry = DictionaryEntry.objects.get(text="请问")
    page = client.post(reverse("kb:dictionary_retire", args=[entry.pk]), follow=True).content.decode()

    assert "停用已存为草稿" in page
    assert "待停用" in page


def test_drafts_are_corrected_and_dropped(client: Client, released: DictionaryRelease) -> None:
    draft = draft_new_entry(values={"kind": "term", "text": "漏水险"}, by=None)
    client.post(reverse("kb:dictionary_draft", args=[draft.pk]), {"text": "漏水保险", "label": "险种"})
    assert "漏水保险（险种）" in read(client, "dictionary_drafts")

    assert client.post(reverse("kb:dictionary_drop"), {}).status_code == 400
    client.post(reverse("kb:dictionary_drop"), {"draft": [draft.pk]})

    assert not DictionaryDraft.objects.exists()


def test_a_file_is_imported_as_drafts(client: Client, released: DictionaryRelease) -> None:
    page = send_file(client, "词典,词,对应,权重\n同义词,噪音,噪声,0.9\n简称,公租房,公共租赁房,\n")

    assert "新增 1 条，修改 1 条" in page
    assert DictionaryDraft.objects.count() == 2


def test_a_file_with_bad_rows_is_reported_line_by_line(client: Client, released: DictionaryRelease) -> None:
    text = "说法,另一种说法\n噪音,噪声\n漏,\n不给办,办理\n"
    page = send_file(client, text, kind="synonym")

    assert "整个文件都没有导入" in page
    assert "第 3 行</span>：“漏”没有填写“另一种说法”" in page
    assert "第 4 行" in page
    assert not DictionaryDraft.objects.exists()

    assert "2 行不能用，没有导入" in send_file(client, text, kind="synonym", keep_good="on")
    assert DictionaryDraft.objects.count() == 1


def test_a_file_without_headings_is_refused(client: Client, released: DictionaryRelease) -> None:
    assert "第一行应是表头" in send_file(client, "噪音,噪声\n")


@pytest.mark.parametrize(("format_name", "start"), [("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK")])
def test_what_is_listed_is_exported(
    client: Client, released: DictionaryRelease, format_name: str, start: bytes
) -> None:
    response = client.get(reverse("kb:dictionary_export"), {"format": format_name, "kind": "synonym"})

    assert response.content.startswith(start)
    assert f".{format_name}" in response["Content-Disposition"]
    if format_name == "csv":
        assert response.content.decode("utf-8-sig").splitlines()[1:] == ["同义词,漏水,渗漏,,0.8,否,"]


def test_history_shows_who_changed_what_and_takes_it_back(
    client: Client, released: DictionaryRelease, administrator: User
) -> None:
    draft_new_entry(values={"kind": "synonym", "text": "噪音", "other": "噪声"}, by=administrator)
    release_drafts(by=administrator, drafts_sha256=digest_drafts(), note="噪声投诉")
    page = read(client, "kb:dictionary_history")
    assert "噪音 → 噪声" in page
    assert "噪声投诉" in page
    assert str(administrator) in page

    page = client.post(reverse("kb:dictionary_restore", args=[released.pk]), follow=True).content.decode()

    assert f"已恢复到第 {released.pk} 版" in page
    assert not DictionaryEntry.objects.get(text="噪音").is_live
    entry = DictionaryEntry.objects.get(text="噪音")
    assert "新增" in read(client, "kb:dictionary_entry", entry.pk)


@pytest.mark.parametrize("name", ["kb:dictionaries", "kb:dictionary_import", "kb:dictionary_history"])
def test_only_knowledge_administrators_see_the_dictionaries(db: None, name: str) -> None:
    client = Client()
    client.force_login(make_user("agent"))

    assert client.get(reverse(name)).status_code == 403


def test_entry_that_somebody_has_drafted_meanwhile_is_not_overwritten(
    client: Client, released: DictionaryRelease
) -> None:
    entry = DictionaryEntry.objects.get(text="公租房")
    opened = read_opened(read(client, "kb:dictionary_entry", entry.pk))
    address = reverse("kb:dictionary_entry", args=[entry.pk])
    client.post(address, {"text": "公租房", "other": "公共租赁房", "opened": opened})

    page = client.post(address, {"text": "公租房", "other": "公共租赁房屋", "opened": opened}).content.decode()

    assert "有人改过这里，没有保存" in page
    assert "公共租赁房屋" in page
    assert DictionaryDraft.objects.get().other == "公共租赁房"
    client.post(address, {"text": "公租房", "other": "公共租赁房屋", "opened": read_opened(page)})
    assert DictionaryDraft.objects.get().other == "公共租赁房屋"


def test_draft_that_somebody_has_changed_meanwhile_is_not_overwritten(
    client: Client, released: DictionaryRelease
) -> None:
    draft = draft_new_entry(values={"kind": "synonym", "text": "噪音", "other": "噪声"}, by=None)
    address = reverse("kb:dictionary_draft", args=[draft.pk])
    opened = read_opened(read(client, "kb:dictionary_draft", draft.pk))
    client.post(address, {"text": "噪音", "other": "声响", "weight": "1", "opened": opened})

    response = client.post(address, {"text": "噪音", "other": "吵闹", "weight": "1", "opened": opened})

    assert response.status_code == 400
    assert "有人改过这里，没有保存" in response.content.decode()
    assert DictionaryDraft.objects.get().other == "声响"


def test_retirement_that_somebody_has_drafted_meanwhile_is_not_overwritten(
    client: Client, released: DictionaryRelease
) -> None:
    entry = DictionaryEntry.objects.get(text="公租房")
    opened = read_opened(read(client, "kb:dictionary_entry", entry.pk))
    client.post(reverse("kb:dictionary_retire", args=[entry.pk]), {"opened": opened})

    sent = {"text": "公租房", "other": "公共租赁房", "opened": opened}
    page = client.post(reverse("kb:dictionary_entry", args=[entry.pk]), sent).content.decode()

    assert "有人改过这里，没有保存" in page
    assert DictionaryDraft.objects.get().action == "retire"


def test_form_opened_before_a_retirement_went_live_brings_nothing_back(
    client: Client, released: DictionaryRelease
) -> None:
    entry = DictionaryEntry.objects.get(text="公租房")
    opened = read_opened(read(client, "kb:dictionary_entry", entry.pk))
    DictionaryEntry.objects.update(is_live=False)

    sent = {"text": "公租房", "other": "公共租赁住房", "opened": opened}
    page = client.post(reverse("kb:dictionary_entry", args=[entry.pk]), sent).content.decode()

    assert "有人改过这里，没有保存" in page
    assert not DictionaryDraft.objects.exists()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_entry_that_somebody_has_drafted_meanwhile_is_not_retired(
    client: Client, released: DictionaryRelease, headers: dict[str, str]
) -> None:
    entry = DictionaryEntry.objects.get(text="公租房")
    address = reverse("kb:dictionary_entry", args=[entry.pk])
    opened = read_opened(client.get(address, headers=headers).content.decode())
    client.post(address, {"text": "公租房", "other": "公共租赁房", "opened": opened})

    response = client.post(reverse("kb:dictionary_retire", args=[entry.pk]), {"opened": opened}, headers=headers)

    assert response.status_code == 409
    assert "有人改过这里，没有停用" in response.content.decode()
    assert DictionaryDraft.objects.get().action == "change"
    page = read(client, "kb:dictionary_entry", entry.pk)
    again = re.findall(r'name="opened" value="(\w+)"', page)
    assert len(again) == 2  # the form's, and that of the button beside it
    client.post(reverse("kb:dictionary_retire", args=[entry.pk]), {"opened": again[1]})
    assert DictionaryDraft.objects.get().action == "retire"
