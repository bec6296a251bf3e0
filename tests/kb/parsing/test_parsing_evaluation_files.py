"""The real files of the evaluation data: what each must give."""

from __future__ import annotations

import difflib
import shutil
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from kb.parsing import ParsedFile, parse_file
from kb.passages import split_passages

pytestmark = pytest.mark.evaluation


@cache
def parse(path: Path) -> ParsedFile:
    return parse_file(path.name, path.read_bytes())


@pytest.fixture(scope="module")
def files(evaluation_dir: Path) -> dict[str, Path]:
    """The files by a word of their name that no other has."""
    words = (
        "397_发改办",
        "397_标准文本",
        "扫描",
        "传染病",
        "公共租赁",
        "知识条目",
        "门特",
        "进度表",
        "test.docx",
        "276件",
        "第十版",
    )
    found = {word: next((evaluation_dir / "files").glob(f"*{word}*")) for word in words}
    return found | {"test.doc": evaluation_dir / "files" / "公文样例_test.doc"}


def squeeze(text: str) -> str:
    return "".join(text.split())


def test_pdf_agrees_with_its_standard_text(files: dict[str, Path]) -> None:
    found = squeeze(parse(files["397_发改办"]).documents[0].text)
    expected = squeeze(files["397_标准文本"].read_text(encoding="utf-8-sig"))
    matcher = difflib.SequenceMatcher(None, found, expected, autojunk=False)
    assert matcher.ratio() >= 0.98
    assert sum(block.size for block in matcher.get_matching_blocks()) >= 0.98 * len(expected)


def test_pdf_gives_title_number_and_issuers(files: dict[str, Path]) -> None:
    for word in ("397_发改办", "397_标准文本"):
        document = parse(files[word]).documents[0]
        assert document.title == "关于加强个人所得税纳税信用建设的通知"
        assert document.metadata.document_number == "发改办财金规〔2019〕860号"
        assert document.metadata.issuer == "国家发展改革委办公厅 税务总局办公厅"
        assert document.metadata.issued_on == date(2019, 8, 20)


def test_long_pdf_has_no_page_numbers_and_knows_its_pages(files: dict[str, Path]) -> None:
    document = parse(files["第十版"]).documents[0]
    assert document.title == "新型冠状病毒感染诊疗方案（试行第十版）"
    assert len(document.page_starts) == 30
    assert not [line for line in document.text.split("\n") if line.strip("—- ").isdigit()]
    assert "新冠病毒在人群中流行和传播过程中" in document.text  # broken over pages 1 and 2
    pages = [span.page for span in split_passages(document.text, page_starts=document.page_starts)]
    assert pages == sorted(pages)
    assert set(pages) >= set(range(1, 30))


def test_xlsx_gives_each_policy_its_own_document(files: dict[str, Path]) -> None:
    parsed = parse(files["276件"])
    assert len(parsed.documents) == 276
    assert len({document.external_id for document in parsed.documents}) == 276
    assert all(document.title and document.metadata.issued_on for document in parsed.documents)
    first = parsed.documents[0]
    assert first.title == "国务院办公厅关于为新冠肺炎疫情牺牲烈士和逝世同胞举行全国性哀悼活动的通知"
    assert first.metadata.document_number == "国办发明电〔2020〕12号"
    assert (first.metadata.issuer, first.metadata.level) == ("国务院办公厅", "national")
    assert first.text.count("\n") > 5  # line breaks inside the cell are kept


def test_law_with_byte_order_mark_and_windows_line_breaks(files: dict[str, Path]) -> None:
    document = parse(files["传染病"]).documents[0]
    assert document.title == "中华人民共和国传染病防治法"
    assert not {"\r", "\ufeff"} & set(document.text)
    assert document.metadata.issued_on == date(2025, 4, 30)
    assert document.metadata.effective_on == date(2025, 9, 1)
    paths = [span.heading_path for span in split_passages(document.text)]
    assert any(path[:2] == ("第四章 疫情控制", "第五十二条") for path in paths) or ("第四章 疫情控制",) in {
        p[:1] for p in paths
    }


def test_page_with_menus_gives_the_article_only(files: dict[str, Path]) -> None:
    document = parse(files["公共租赁"]).documents[0]
    assert document.title == "广州市人民政府办公厅关于印发广州市公共租赁住房管理办法的通知"
    assert document.text.startswith("穗府办规〔2024〕13号")
    assert document.text.endswith("2024年7月29日印发")
    assert not [word for word in ("无障碍", "高级搜索", "收藏", "长者助手", "版权所有") if word in document.text]
    metadata = document.metadata
    assert (metadata.document_number, metadata.issuer) == ("穗府办规〔2024〕13号", "广州市人民政府办公厅")
    assert (metadata.level, metadata.region) == ("city", "广州市")
    assert metadata.effective_on == metadata.issued_on == date(2024, 7, 26)
    assert metadata.expires_on == date(2029, 7, 25)
    assert any(span.heading_path == ("第一章 总则", "第五条") for span in split_passages(document.text, size=80))


def test_page_of_tables_keeps_them_and_loses_its_menus(files: dict[str, Path]) -> None:
    document = parse(files["门特"]).documents[0]
    assert document.metadata.document_number == "穗医保规字〔2019〕4号"
    assert (document.metadata.effective_on, document.metadata.expires_on) == (date(2019, 7, 1), date(2024, 6, 30))
    assert len(document.metadata.repeals) == 3
    assert sum(line.startswith("|") for line in document.text.split("\n")) > 40
    assert not [word for word in ("网站地图", "市委组织部", "扫一扫", "document.write") if word in document.text]


def test_csv_with_line_breaks_in_cells(files: dict[str, Path]) -> None:
    documents = parse(files["知识条目"]).documents
    assert len(documents) == 37
    assert documents[0].title == "天河区公办小学入学（人户一致）"
    assert documents[0].metadata.category == "education"
    assert "咨询电话：020-12345" in documents[0].text


def test_csv_in_gbk_without_known_columns_is_one_table(files: dict[str, Path]) -> None:
    documents = parse(files["进度表"]).documents
    assert len(documents) == 1
    assert documents[0].text.startswith("| 日期 | P1 队长/统筹+数据 |")


def test_docx_gives_title_and_number(files: dict[str, Path]) -> None:
    document = parse(files["test.docx"]).documents[0]
    assert (document.title, document.metadata.document_number) == ("国防部关于放假的通知", "国防部发〔2012〕21号")


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")
def test_doc_gives_title_and_number(files: dict[str, Path]) -> None:
    parsed = parse(files["test.doc"])
    document = parsed.documents[0]
    assert parsed.format == "doc"
    assert (document.title, document.metadata.document_number) == ("国防部关于教育部放假的通知", "国防部发〔2023〕33号")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_scan_is_read_by_ocr(files: dict[str, Path]) -> None:
    pytest.importorskip("pytesseract")
    parsed = parse(files["扫描"])
    document = parsed.documents[0]
    assert parsed.format == "scan"
    assert len(document.page_starts) == 8
    assert "使用价值" in document.text
    assert "交换价值" in document.text
    assert len(document.text) > 5000
