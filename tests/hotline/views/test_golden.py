"""The pages of golden questions: kept by administrators, taken from adopted tickets and verdicts in one click."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from hotline.models import AuditEvent, GoldenQuestion, User
from tests.factories import make_lookup, make_review, make_ticket, make_user, make_version
from tests.opened_forms import read_opened

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(administrator_client: Client) -> Client:
    return administrator_client


def add(client: Client, **data: str) -> str:
    values = {"question": "楼上漏水怎么办", "policies": "云岚市物业管理条例", "category": "complaint", "note": "常问"}
    return client.post(reverse("lab_golden_add"), {**values, **data}, follow=True).content.decode()


def test_question_is_added_with_its_policy_and_masked(client: Client, administrator: User) -> None:
    version = make_version()

    page = add(client, question="我的电话13812345678，楼上漏水怎么办")
    row = GoldenQuestion.objects.get()

    assert "已加入标准问题" in page
    assert "云岚市物业管理条例" in page
    assert "13812345678" not in row.question
    assert [document.pk for document in row.documents.all()] == [version.document_id]
    assert (row.category, row.note, row.added_by) == ("complaint", "常问", administrator)
    assert AuditEvent.objects.get(action="golden_question_added").by == administrator


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"policies": "没有这项政策"}, "知识库里没有：没有这项政策"),
        ({"policies": ""}, "请至少写一项正确的政策"),
        ({"question": " "}, "请写问题"),
    ],
)
def test_what_cannot_be_kept_is_said_and_nothing_typed_is_lost(
    client: Client, data: dict[str, str], message: str
) -> None:
    make_version()

    page = add(client, **{"note": "我写的备注", **data})

    assert message in page
    assert "我写的备注" in page
    assert not GoldenQuestion.objects.exists()


def test_the_same_question_is_kept_once(client: Client) -> None:
    make_version()
    add(client)

    assert "已有这个问题" in add(client)
    assert GoldenQuestion.objects.count() == 1


def test_question_is_changed_and_removed(client: Client) -> None:
    make_version()
    other = make_version("云岚市住宅专项维修资金管理办法")
    add(client)
    row = GoldenQuestion.objects.get()
    address = reverse("lab_golden_question", args=[row.pk])

    assert f"{row.documents.get().pk} 云岚市物业管理条例" in client.get(address).content.decode()
    client.post(
        address, {"question": "屋顶漏水谁修", "policies": f"{other.document_id} 云岚市住宅专项维修资金管理办法"}
    )
    row.refresh_from_db()
    assert (row.question, row.documents.get()) == ("屋顶漏水谁修", other.document)

    client.post(reverse("lab_golden_remove", args=[row.pk]))
    assert not GoldenQuestion.objects.exists()
    assert AuditEvent.objects.filter(action="golden_question_removed").exists()


def test_list_is_searched_by_question_and_by_policy(client: Client) -> None:
    make_version()
    make_version("云岚市公共租赁住房办法")
    add(client)
    add(client, question="房租怎么收", policies="云岚市公共租赁住房办法")
    address = reverse("lab_golden")

    assert "房租怎么收" not in client.get(address, {"q": "漏水"}).content.decode()
    found = client.get(address, {"q": "公共租赁"}).content.decode()
    assert "房租怎么收" in found
    assert "楼上漏水怎么办" not in found
    posted = client.post(address, {"q": "13812345678", "category": ""})
    assert posted["Location"] == f"{address}?q=138%2A%2A%2A%2A5678"


def test_export_can_be_imported_elsewhere(client: Client) -> None:
    make_version()
    add(client)
    add(client, question="=HYPERLINK(1) 物业费")
    for suffix in ("csv", "xlsx"):
        exported = client.get(reverse(f"lab_golden_{suffix}"))
        GoldenQuestion.objects.all().delete()

        file = SimpleUploadedFile(f"golden.{suffix}", exported.content)
        page = client.post(reverse("lab_golden_import"), {"file": file}, follow=True).content.decode()

        assert "新增 2 个" in page
        assert set(GoldenQuestion.objects.values_list("question", flat=True)) == {
            "楼上漏水怎么办",
            "=HYPERLINK(1) 物业费",
        }
        assert set(GoldenQuestion.objects.values_list("category", "note")) == {("complaint", "常问")}


def test_import_with_unknown_policies_changes_nothing(client: Client) -> None:
    make_version()
    file = SimpleUploadedFile("g.csv", "问题,正确政策\n甲问题,云岚市物业管理条例\n乙问题,没有的\n丙问题,\n".encode())

    page = client.post(reverse("lab_golden_import"), {"file": file}, follow=True).content.decode()

    assert "第 2 个问题的政策不在知识库；第 3 个问题没有写政策" in page
    assert not GoldenQuestion.objects.exists()


def test_import_gives_a_known_question_the_policies_of_the_file(client: Client) -> None:
    make_version()
    other = make_version("云岚市公共租赁住房办法")
    add(client)
    file = SimpleUploadedFile("g.csv", "问题,正确政策\n楼上漏水怎么办,云岚市公共租赁住房办法\n".encode())

    assert "更改 1 个" in client.post(reverse("lab_golden_import"), {"file": file}, follow=True).content.decode()
    assert GoldenQuestion.objects.get().documents.get() == other.document


def test_adopted_ticket_becomes_one_in_one_click(client: Client) -> None:
    ticket = make_ticket(category="complaint")
    lookup = make_lookup([make_version(), make_version("乙办法")], scores=[1.0, 0.5], ticket=ticket)
    address = reverse("ticket_golden", args=[ticket.number])
    assert "还没有采纳答复" in client.post(address).content.decode()

    result = lookup.results.get(rank=2)
    result.is_adopted = True
    result.save()
    ticket.adopted_passage = result.version.passages.first()
    ticket.answer = "答复\n——《乙办法》"
    ticket.save()
    page = client.get(reverse("ticket", args=[ticket.number])).content.decode()
    assert "加入标准问题" in page
    client.post(address)
    row = GoldenQuestion.objects.get()

    assert (row.question, row.documents.get(), row.category) == (lookup.question, result.version.document, "complaint")
    assert row.lookup == lookup


def test_verdict_becomes_one_in_one_click(sign_in: Callable[[User], Client]) -> None:
    boss = User.objects.create_superuser("boss")
    review = make_review(make_lookup([make_version("甲办法"), make_version("乙办法")], scores=[1.0, 0.9]))
    right = review.lookup.results.get(rank=2)
    review.picked.add(right)
    review.state, review.verdict = "decided", "confirmed"
    review.save()
    client = sign_in(boss)

    assert "加入标准问题" in client.get(reverse("review", args=[review.pk])).content.decode()
    client.post(reverse("review_golden", args=[review.pk]))

    assert GoldenQuestion.objects.get().documents.get() == right.version.document


@pytest.mark.parametrize("role", ["agent", "reviewer"])
def test_others_may_not(sign_in: Callable[[User], Client], role: str) -> None:
    client = sign_in(make_user(role))
    ticket = make_ticket()

    assert client.get(reverse("lab_golden")).status_code == 403
    assert client.post(reverse("ticket_golden", args=[ticket.number])).status_code == 403
    assert client.get(reverse("lab_settings")).status_code == 403
    assert client.get(reverse("lab_thresholds")).status_code == 403


def test_question_that_somebody_has_changed_meanwhile_is_not_overwritten(client: Client) -> None:
    make_version()
    add(client)
    row = GoldenQuestion.objects.get()
    address = reverse("lab_golden_question", args=[row.pk])
    opened = read_opened(client.get(address).content.decode())
    sent = {
        "question": row.question,
        "policies": "云岚市物业管理条例",
        "category": "",
        "note": "我的备注",
        "opened": opened,
    }
    GoldenQuestion.objects.update(note="同事的备注")

    response = client.post(address, sent)

    page = response.content.decode()
    assert "有人改过这里，没有保存" in page
    assert "我的备注" in page
    row.refresh_from_db()
    assert (row.note, row.category) == ("同事的备注", "complaint")
    again = read_opened(page)
    client.post(address, {**sent, "opened": again})
    row.refresh_from_db()
    assert row.note == "我的备注"


def test_form_with_a_mistake_still_knows_what_it_was_opened_over(client: Client) -> None:
    make_version()
    add(client)
    row = GoldenQuestion.objects.get()
    address = reverse("lab_golden_question", args=[row.pk])
    opened = read_opened(client.get(address).content.decode())
    sent = {"question": row.question, "policies": "没有的政策", "category": "", "note": "我的备注", "opened": opened}
    GoldenQuestion.objects.update(note="同事的备注")

    page = client.post(address, sent).content.decode()
    again = read_opened(page)
    page = client.post(address, {**sent, "policies": "云岚市物业管理条例", "opened": again}).content.decode()

    assert "有人改过这里，没有保存" in page
    row.refresh_from_db()
    assert row.note == "同事的备注"
