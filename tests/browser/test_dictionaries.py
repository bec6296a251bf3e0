"""A knowledge administrator adds a synonym, tries it, puts it live; the next question shows it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from hotline.models import User
from hotline.services.dictionaries import run_waiting_trials
from kb.live_dictionaries import CHECK_SECONDS
from kb.models import DictionaryRelease, DictionaryTrial, DocumentVersion
from kb.services.dictionary_drafts import digest_drafts, draft_new_entry
from tests.browser.conftest import SignIn
from tests.dictionaries import release_few
from tests.factories import make_lookup, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def administrator(transactional_db: None) -> User:
    return make_user("knowledge_administrator")


@pytest.fixture
def dictionaries(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> DictionaryRelease:
    return release_few(monkeypatch)


def ask(page: Page, question: str) -> None:
    page.goto("/")
    page.fill("#question", question)
    page.press("#question", "Enter")
    page.wait_for_selector("#results .card")


def test_a_synonym_is_added_tried_put_live_and_offered(
    sign_in: SignIn, administrator: User, dictionaries: DictionaryRelease, policies: dict[str, DocumentVersion]
) -> None:
    make_lookup(question="老房子升降机补贴多少钱")
    page = sign_in(administrator)
    ask(page, "升降机补贴多少钱")
    expect(page.locator("body")).not_to_contain_text("电梯补贴多少钱")

    page.goto("/knowledge/dictionaries/?kind=synonym")
    page.fill(".add #id_text", "升降机")
    page.fill(".add #id_other", "电梯")
    page.click("text=存为草稿")
    expect(page.locator("td.wide", has_text="升降机 → 电梯")).to_be_visible()
    page.click("button:text-is('试用')")
    expect(page.locator("#trial")).to_contain_text("正在试用")
    run_waiting_trials()
    expect(page.locator("#trial")).to_contain_text("老房子升降机补贴多少钱")
    expect(page.locator("#trial")).to_contain_text("老房子电梯补贴多少钱")
    page.click("text=全部生效")
    expect(page.locator(".notice.success")).to_contain_text("已生效")

    page.wait_for_timeout(1000 * CHECK_SECONDS)
    ask(page, "升降机补贴要多少钱")  # looks, and finds that there is a newer release
    page.wait_for_timeout(1000)
    ask(page, "升降机补贴是多少钱")
    expect(page.locator(".question")).to_contain_text("电梯补贴是多少钱")


def test_an_entry_is_changed_in_its_row(sign_in: SignIn, administrator: User, dictionaries: DictionaryRelease) -> None:
    page = sign_in(administrator)
    page.goto("/knowledge/dictionaries/?q=公租房")
    page.click("tbody .row-actions a")
    page.fill("tr.editing #id_other", "")
    page.evaluate("document.querySelector('tr.editing form').noValidate = true")
    page.click("tr.editing >> text=存为草稿")
    expect(page.locator("tr.editing .field-error")).to_contain_text("没有填写“全称”")
    page.fill("tr.editing #id_other", "公共租赁房")
    page.press("tr.editing #id_other", "Enter")

    expect(page.locator("tbody tr", has_text="公租房")).to_contain_text("待修改")


def test_a_file_is_imported_without_javascript(
    sign_in: SignIn, administrator: User, dictionaries: DictionaryRelease
) -> None:
    page = sign_in(administrator, java_script_enabled=False)
    page.goto("/knowledge/dictionaries/import/")
    page.set_input_files(
        "#id_file", {"name": "词.csv", "mimeType": "text/csv", "buffer": "词典,词\n领域词,漏水险\n".encode()}
    )
    page.click("button:text-is('导入')")

    expect(page.locator("td.wide", has_text="漏水险")).to_be_visible()


@pytest.mark.parametrize("address", ["", "?kind=synonym", "drafts/", "history/", "import/", "add/place/"])
def test_nothing_runs_out_of_a_narrow_page(
    sign_in: SignIn, administrator: User, dictionaries: DictionaryRelease, address: str
) -> None:
    draft_new_entry(values={"kind": "abbreviation", "text": "长" * 60, "other": "很长" * 60}, by=administrator)
    figures = {"top1": 100.0, "mrr5": 100.0, "ndcg3": 100.0, "recall50": 100.0, "top1_of_rest": 100.0}
    golden = {"questions": 20, "before": figures, "after": {**figures, "top1": 95.0}, "fallen": ["top1"], "moved": []}
    comparison = {"questions": 1, "changed_count": 0, "changed": [], "golden": golden}
    fields = {"state": "done", "drafts_sha256": digest_drafts(), "comparison": comparison}
    DictionaryTrial.objects.create(release=dictionaries, **fields)
    page = sign_in(administrator, viewport={"width": 390, "height": 800})

    page.goto(f"/knowledge/dictionaries/{address}")

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
