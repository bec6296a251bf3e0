"""Make the sample files that are not plain text from the texts they come from: `python -m kb.samples.build`.

`texts/` holds a text for each; `files/` what is made of it, and the plain files, which are written by hand. A text
starts with its title, followed by 发文字号, issuer and date, one a line; a Markdown table is a table. A folder of texts
becomes one file of many policies, each text beginning with `列名：值` lines. PDF and DOC need LibreOffice (`soffice`).
"""

from __future__ import annotations

import csv
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from openpyxl import Workbook

from kb.samples import FILES_DIR, TEXTS_DIR
from kb.samples.docx_files import write_docx
from kb.samples.html_files import write_html

DOCX = ("云岚市既有住宅加装电梯实施办法", "云岚市公共租赁住房保障办法")
NUMBERED_DOCX = ("云岚市2026年义务教育阶段学校招生入学工作实施意见", "云岚市积分入户管理办法")
PDF = ("云岚市住宅专项维修资金管理办法", "云岚市基本医疗保险门诊慢性病和特殊疾病管理办法")
DOC = ("云岚市灵活就业人员社会保险补贴办法（2022年）",)
HTML = {
    "云岚市物业管理条例": "utf-8",
    "关于做好2027年度城乡居民基本医疗保险参保缴费工作的通知": "utf-8",
    "云岚市住房公积金提取管理办法": "utf-8",
    "云岚市职工生育保险待遇办法": "gb18030",
}
# Plain text as Windows editors save it
PLAIN = {
    "云岚市既有住宅加装电梯管理暂行办法": "gb18030",
    "云岚市异地就医直接结算管理办法": "utf-8-sig",
}
JSON_KEYS = {
    "标题": "title",
    "发文字号": "document_number",
    "发文机关": "issuer",
    "发布日期": "issued_on",
    "施行日期": "effective_on",
    "有效期至": "expires_on",
    "状态": "status",
    "分类": "category",
    "正文": "content",
}


def read_text(name: str) -> str:
    return (TEXTS_DIR / f"{name}.txt").read_text(encoding="utf-8")


def read_rows(folder: str) -> list[dict[str, str]]:
    """The policies of a folder as rows by column name; the text's column is 正文."""
    return [parse_row(path.read_text(encoding="utf-8")) for path in sorted((TEXTS_DIR / folder).glob("*.txt"))]


def parse_row(text: str) -> dict[str, str]:
    head, _, body = text.partition("\n\n")
    columns = dict(line.split("：", 1) for line in head.splitlines())
    return {**columns, "正文": body.strip()}


def write_xlsx(rows: list[dict[str, str]], path: Path) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("政策")
    sheet.append(["序号", *rows[0]])
    for number, row in enumerate(rows, start=1):
        sheet.append([number, *row.values()])
    book.save(path)


def write_csv(rows: list[dict[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(rows: list[dict[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows, start=1):
            values = {JSON_KEYS[name]: value for name, value in row.items()}
            file.write(json.dumps({"id": f"yunlan-{number}", **values}, ensure_ascii=False) + "\n")


def convert_files(paths: list[Path], target: str, folder: Path) -> None:
    """Convert with LibreOffice, its profile apart from the user's own."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["soffice", f"-env:UserInstallation=file://{profile}", "--headless", "--convert-to", target]
        subprocess.run([*command, "--outdir", str(folder), *map(str, paths)], check=True, capture_output=True)  # noqa: S603


def list_policies() -> Iterator[tuple[str, str]]:
    """Each sample policy: its title and its text as written."""
    written = (path for path in FILES_DIR.iterdir() if path.suffix in {".txt", ".md"} and path.stem not in PLAIN)
    for path in sorted([*TEXTS_DIR.glob("*.txt"), *written]):
        text = path.read_text(encoding="utf-8")
        yield text.split("\n", 1)[0].removeprefix("# "), text
    for folder in sorted(path for path in TEXTS_DIR.iterdir() if path.is_dir()):
        for row in read_rows(folder.name):
            yield row["标题"], row["正文"]


def build() -> None:
    FILES_DIR.mkdir(exist_ok=True)
    for name, encoding in PLAIN.items():
        (FILES_DIR / f"{name}.txt").write_text(read_text(name), encoding=encoding, newline="\r\n")
    for name, encoding in HTML.items():
        write_html(read_text(name), FILES_DIR / f"{name}.html", encoding)
    for name in DOCX:
        write_docx(read_text(name), FILES_DIR / f"{name}.docx")
    for name in NUMBERED_DOCX:
        write_docx(read_text(name), FILES_DIR / f"{name}.docx", numbered=True)
    write_xlsx(read_rows("民生保障政策汇编"), FILES_DIR / "民生保障政策汇编.xlsx")
    write_csv(read_rows("城市管理政策"), FILES_DIR / "城市管理政策.csv")
    write_jsonl(read_rows("惠企政策"), FILES_DIR / "惠企政策.jsonl")
    with tempfile.TemporaryDirectory() as scratch:
        for names, target in ((PDF, "pdf"), (DOC, "doc")):
            paths = [Path(scratch) / f"{name}.docx" for name in names]
            for name, path in zip(names, paths, strict=True):
                write_docx(read_text(name), path)
            convert_files(paths, target, FILES_DIR)


if __name__ == "__main__":
    build()
