"""A knowledge administrator uploads files, corrects and publishes."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from hotline.models import User
from kb.models import DocumentVersion, Upload
from kb.search.types import SearchEngine
from kb.services.uploads import parse_upload
from tests.browser.conftest import SignIn
from tests.factories import TEXT, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def administrator(transactional_db: None, engine: SearchEngine) -> User:
    return make_user("knowledge_administrator")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("甲办法.txt", "乙办法.txt")]
    for path in made:
        path.write_text(f"云岚市{path.stem}\n{TEXT}", encoding="utf-8")
    return made


def test_files_are_uploaded_watched_corrected_and_published(
    sign_in: SignIn, administrator: User, files: list[Path]
) -> None:
    page = sign_in(administrator)
    page.goto("/knowledge/uploads/")
    page.set_input_files("#files", files)
    page.click("button:text-is('上传')")
    expect(page.locator("#upload-rows tr")).to_have_count(2)
    expect(page.locator("#upload-rows", has_text="等待解析")).to_be_visible()

    for upload in Upload.objects.all():
        parse_upload(upload_id=upload.pk)

    expect(page.locator("#upload-rows tr", has_text="1 项待发布")).to_have_count(2)
    page.locator("#upload-rows a", has_text="核对").first.click()
    page.locator("td.wide a").first.click()
    expect(page.locator(".passage-block").first).to_contain_text("物业服务")
    page.fill("#id_region", "青溪区")
    page.click("text=保存更正")
    expect(page.locator(".notice.success")).to_have_text("元数据已更正。")
    page.click("button:text-is('发布')")
    expect(page.locator(".notice.success")).to_contain_text("已发布")
    assert DocumentVersion.objects.filter(state="published", region="青溪区").count() == 1


def test_files_can_be_dropped_and_the_same_file_is_said(
    sign_in: SignIn, administrator: User, files: list[Path]
) -> None:
    page = sign_in(administrator)
    page.goto("/knowledge/uploads/")
    for _ in range(2):
        dropped = page.evaluate_handle(
            """text => { const data = new DataTransfer();
            data.items.add(new File([text], "拖入.txt")); return data; }""",
            files[0].read_text(encoding="utf-8"),
        )
        page.dispatch_event("#upload-form", "drop", {"dataTransfer": dropped})
        expect(page.locator("#upload-rows tr")).to_have_count(1)

    expect(page.locator("#upload-messages")).to_contain_text("内容相同的文件已上传过")
    assert Upload.objects.count() == 1


def test_the_plain_form_works_without_javascript(sign_in: SignIn, administrator: User, files: list[Path]) -> None:
    page = sign_in(administrator, java_script_enabled=False)
    page.goto("/knowledge/uploads/")
    page.set_input_files("#files", files)
    page.click("button:text-is('上传')")

    expect(page.locator("#upload-rows tr")).to_have_count(2)


@pytest.mark.parametrize("address", ["/knowledge/", "/knowledge/uploads/", "/knowledge/index/"])
def test_nothing_runs_out_of_a_narrow_page(sign_in: SignIn, administrator: User, address: str) -> None:
    page = sign_in(administrator, viewport={"width": 390, "height": 800})

    page.goto(address)

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_every_draft_of_the_page_is_ticked_at_once(sign_in: SignIn, administrator: User, files: list[Path]) -> None:
    page = sign_in(administrator)
    page.goto("/knowledge/uploads/")
    page.set_input_files("#files", files)
    page.click("button:text-is('上传')")
    expect(page.locator("#upload-rows tr")).to_have_count(2)
    for upload in Upload.objects.all():
        parse_upload(upload_id=upload.pk)

    page.goto("/knowledge/?status=draft")
    page.check("[data-check-all]")
    page.click("text=发布所选")

    expect(page.locator(".notice.success")).to_contain_text("已发布 2 项")
