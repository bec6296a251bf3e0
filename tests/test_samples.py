"""The sample policies and the questions about them hold together."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from kb.parsing import parse_file
from kb.samples import FILES_DIR, QUESTIONS_FILE, TEXTS_DIR
from kb.samples.build import (
    DOC,
    DOCX,
    HTML,
    NUMBERED_DOCX,
    PDF,
    PLAIN,
    list_policies,
    parse_row,
    write_jsonl,
    write_xlsx,
)
from kb.samples.docx_files import write_docx
from kb.samples.html_files import render_body, write_html

QUESTIONS = [json.loads(line) for line in QUESTIONS_FILE.read_text(encoding="utf-8").splitlines()]
NOT_IN_FORCE = {
    "云岚市人民政府关于印发云岚市积分入户管理办法的通知",
    "云岚市医疗保障局关于做好2025年度城乡居民基本医疗保险参保缴费工作的通知",
    "云岚市小微企业贷款贴息实施细则（2023年）",
    "云岚市既有住宅加装电梯管理暂行办法",
    "云岚市机动车停放服务收费管理暂行规定",
    "云岚市灵活就业人员社会保险补贴办法",
}


@pytest.fixture(scope="module")
def policies() -> dict[str, str]:
    return dict(list_policies())


def test_titles_are_unique() -> None:
    repeated = [title for title, count in Counter(title for title, _ in list_policies()).items() if count > 1]

    assert repeated == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["qid"])
def test_answer_is_verbatim_in_its_policy(question: dict[str, str], policies: dict[str, str]) -> None:
    assert question["answer"] in policies[question["title"]]


def test_questions_ask_every_policy_in_force_and_no_other(policies: dict[str, str]) -> None:
    assert {question["title"] for question in QUESTIONS} == set(policies) - NOT_IN_FORCE


def test_question_ids_are_unique() -> None:
    assert len({question["qid"] for question in QUESTIONS}) == len(QUESTIONS) >= 40


def test_every_text_has_its_file() -> None:
    made = {FILES_DIR / f"{name}.docx" for name in (*DOCX, *NUMBERED_DOCX)}
    made |= {FILES_DIR / f"{name}.pdf" for name in PDF} | {FILES_DIR / f"{name}.doc" for name in DOC}
    made |= {FILES_DIR / f"{name}.html" for name in HTML} | {FILES_DIR / f"{name}.txt" for name in PLAIN}

    assert {path.stem for path in made} == {path.stem for path in TEXTS_DIR.glob("*.txt")}
    assert [path.name for path in made if not path.is_file()] == []


@pytest.fixture(scope="module")
def parsed_texts() -> dict[str, str]:
    """Title to text of what the parsers read; without LibreOffice all but the DOC file."""
    paths = [path for path in FILES_DIR.iterdir() if path.suffix != ".doc" or shutil.which("soffice")]
    parsed = (parse_file(path.name, path.read_bytes()) for path in paths)
    return {document.title: document.text for file in parsed for document in file.documents}


def test_files_are_read_with_the_titles_they_were_written_with(
    parsed_texts: dict[str, str], policies: dict[str, str]
) -> None:
    needs_converter = {"云岚市灵活就业人员社会保险补贴办法"}

    assert set(policies) - set(parsed_texts) <= needs_converter
    assert set(parsed_texts) <= set(policies)


def test_answers_survive_the_parsers(parsed_texts: dict[str, str]) -> None:
    lost = [each["qid"] for each in QUESTIONS if each["answer"] not in parsed_texts[each["title"]]]

    assert lost == []


def test_articles_survive_list_numbering(parsed_texts: dict[str, str]) -> None:
    text = parsed_texts["云岚市人民政府关于印发云岚市积分入户管理办法的通知"]

    assert "第十二条 本办法自2027年1月1日起施行" in text.replace("第十二条  ", "第十二条 ")


def test_plain_files_are_as_editors_save_them() -> None:
    old = (FILES_DIR / "云岚市既有住宅加装电梯管理暂行办法.txt").read_bytes()
    marked = (FILES_DIR / "云岚市异地就医直接结算管理办法.txt").read_bytes()

    assert old.decode("gb18030").startswith("云岚市既有住宅加装电梯管理暂行办法\r\n")
    assert marked.startswith(b"\xef\xbb\xbf")


def test_parse_row_keeps_the_body_whole() -> None:
    assert parse_row("标题：甲\n分类：乙\n\n第一条 一\n第二条 二：三\n") == {
        "标题": "甲",
        "分类": "乙",
        "正文": "第一条 一\n第二条 二：三",
    }


def test_write_jsonl_names_its_fields_in_english(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl([{"标题": "甲", "正文": "乙"}], path)

    assert json.loads(path.read_text(encoding="utf-8")) == {"id": "yunlan-1", "title": "甲", "content": "乙"}


def test_write_xlsx_has_one_policy_a_row(tmp_path: Path) -> None:
    import openpyxl

    path = tmp_path / "rows.xlsx"
    write_xlsx([{"标题": "甲", "正文": "乙"}, {"标题": "丙", "正文": "丁"}], path)

    rows = list(openpyxl.load_workbook(path).active.iter_rows(values_only=True))
    assert rows == [("序号", "标题", "正文"), (1, "甲", "乙"), (2, "丙", "丁")]


TEXT = """关于甲的通知
云甲规〔2026〕1号
云岚市甲局
2026年1月2日

第一条 一。
1.项一
2.项二
| 甲 | 乙 |
| --- | --- |
| 1 | 2 |
第二条 二。
"""


def test_write_docx_numbers_articles_itself(tmp_path: Path) -> None:
    import docx

    path = tmp_path / "甲.docx"
    write_docx(TEXT, path, numbered=True)

    document = docx.Document(str(path))
    lines = [paragraph.text for paragraph in document.paragraphs]
    assert lines[-4:] == ["一。", "项一", "项二", "二。"]
    assert [cell.text for row in document.tables[0].rows for cell in row.cells] == ["甲", "乙", "1", "2"]
    numbers = [paragraph._p.pPr.numPr.numId.val for paragraph in document.paragraphs[-4:]]
    assert numbers[0] == numbers[3] != numbers[1] == numbers[2]


def test_write_html_puts_the_text_among_what_a_site_adds(tmp_path: Path) -> None:
    path = tmp_path / "甲.html"
    write_html(TEXT, path, "gb18030")

    page = path.read_bytes().decode("gb18030")
    assert '<meta charset="gb2312">' in page
    assert "<p>第一条 一。</p>" in page
    assert "分享到" in page


def test_render_body_makes_tables_of_table_lines() -> None:
    assert render_body("前\n| 甲 | 乙 |\n| --- | --- |\n| 1 | <2> |\n后") == (
        "<p>前</p>\n<table border='1'>\n<tr><td>甲</td><td>乙</td></tr>\n"
        "<tr><td>1</td><td>&lt;2&gt;</td></tr>\n</table>\n<p>后</p>"
    )
