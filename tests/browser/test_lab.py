"""A reviewer compares two settings, and runs a file of questions, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from hotline.models import LabRun, User
from hotline.services.lab_runs import work_on_run
from kb.models import DocumentVersion
from tests.browser.conftest import SignIn
from tests.factories import make_user
from tests.hotline.test_lab_runs import make_file

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
QUESTION = "云岚市楼上漏水物业不管，多久维修"


@pytest.fixture
def administrator(transactional_db: None) -> User:
    return make_user("knowledge_administrator")


def test_two_settings_are_compared_and_shared(
    sign_in: SignIn, administrator: User, policies: dict[str, DocumentVersion]
) -> None:
    page = sign_in(administrator)
    page.click(".nav >> text=实验台")
    page.fill("#id_q", QUESTION)
    page.press("#id_q", "Enter")
    columns = page.locator(".lab-column")
    expect(columns).to_have_count(2)
    expect(columns.nth(1).locator(".card").first).to_contain_text("云岚市物业管理条例")
    expect(columns.nth(1).locator(".moved").first).to_be_visible()
    expect(columns.nth(1).locator("svg[role=img] rect")).to_have_count(3)

    columns.nth(1).locator("summary", has_text="得分由来").first.click()
    expect(columns.nth(1).locator(".lab-why").first).to_contain_text("初筛·融合")

    page.select_option("#id_a-reranker", "lexical")
    page.locator(".lab-settings", has_text="左列").locator("summary").click()
    page.locator(".lab-settings", has_text="左列").get_by_label("词", exact=True).check()
    page.click("button:text-is('比较')")
    expect(columns.nth(0)).to_contain_text("词元 1/6 路")
    address = page.url
    assert len(address) < 80

    page.goto("/")
    page.goto(address)  # which can be sent to others
    expect(columns.nth(0)).to_contain_text("词元 1/6 路")


def test_file_of_questions_is_run_and_watched(
    sign_in: SignIn, administrator: User, policies: dict[str, DocumentVersion], tmp_path: Path
) -> None:
    file = tmp_path / "五十个问题.csv"
    file.write_bytes(make_file(50))
    page = sign_in(administrator, viewport={"width": 390, "height": 844})
    page.goto("/lab/runs/")
    page.set_input_files("#id_file", file)
    page.click("button:text-is('开始')")
    expect(page.locator("#run")).to_contain_text("0 / 50")

    run = LabRun.objects.get()
    work_on_run(run_id=run.pk, seconds=0)
    expect(page.locator("#run progress")).to_have_attribute("value", "4")
    work_on_run(run_id=run.pk, seconds=60)
    expect(page.locator(".lab-figures").first).to_contain_text("Top-1", timeout=10_000)
    expect(page.locator("#run")).to_contain_text("34 个问题有正确答案")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("nav[aria-label=筛选] >> text=答案找不到")
    expect(page.locator(".pages").first).to_contain_text("16 条")
    with page.expect_download() as download:
        page.click("text=导出 XLSX")
    assert download.value.suggested_filename == f"lab-run-{run.pk}.xlsx"
