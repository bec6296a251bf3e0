"""DOC, WPS and RTF: turned into DOCX by LibreOffice, where it is installed, and read as such."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from kb.parsing.types import Extracted, ParseRefused, Source
from kb.parsing.word import parse_docx

_PROGRAMS = ("soffice", "libreoffice")


def parse_doc(source: Source) -> Extracted:
    """Word's binary format, which WPS writes too. Raises ParseRefused: converter_missing, converter_failed."""
    return replace(_convert(source, ".doc"), format="wps" if source.suffix == ".wps" else "doc")


def parse_rtf(source: Source) -> Extracted:
    return replace(_convert(source, ".rtf"), format="rtf")


def _convert(source: Source, suffix: str) -> Extracted:
    program = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        raise ParseRefused(
            "converter_missing", "服务器没有安装 LibreOffice，无法读取 DOC/WPS 文件；请另存为 DOCX 后再上传。"
        )
    with tempfile.TemporaryDirectory(prefix="policy-") as folder:
        original = Path(folder) / f"policy{suffix}"
        original.write_bytes(source.data)
        _run(_command(program, original), source.limits.converter_seconds)
        converted = Path(folder) / "converted" / "policy.docx"
        if not converted.exists():
            raise ParseRefused("converter_failed", "LibreOffice 无法打开这个文件，请另存为 DOCX 后再上传。")
        return parse_docx(replace(source, data=converted.read_bytes()))


def _command(program: str, original: Path) -> list[str]:
    """A profile of its own: LibreOffice lets only one process use a profile, and no user's macros belong here."""
    folder = original.parent
    return [
        program,
        f"-env:UserInstallation={(folder / 'profile').as_uri()}",
        *("--headless", "--norestore", "--nolockcheck", "--nodefault", "--convert-to", "docx:MS Word 2007 XML"),
        *("--outdir", str(folder / "converted"), str(original)),
    ]


def _run(command: list[str], seconds: int) -> None:
    """Runs in a process group of its own, so that a time-out ends soffice.bin too and not only its launcher."""
    process = subprocess.Popen(  # noqa: S603 - the program comes from PATH, the file name is ours
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise ParseRefused(
            "converter_failed", f"LibreOffice 转换超过 {seconds} 秒，请另存为 DOCX 后再上传。"
        ) from error
