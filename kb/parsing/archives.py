"""Opening zip containers (DOCX, XLSX) without being blown up by them: sizes are checked before anything is unpacked."""

from __future__ import annotations

import zipfile
from io import BytesIO

from kb.parsing.types import ParseLimits, ParseRefused, Source

_SMALL_ENTRY = 1024 * 1024


def open_archive(source: Source) -> zipfile.ZipFile:
    """The checked archive. Raises ParseRefused: corrupt, encrypted or zip_bomb.

    The sizes are those the directory states; `zipfile` never unpacks more of an entry than it states.
    """
    try:
        archive = zipfile.ZipFile(BytesIO(source.data))
        entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ParseRefused("corrupt", "文件已损坏，无法打开，请重新保存后再上传。") from error
    _check_entries(entries, source.limits)
    return archive


def _check_entries(entries: list[zipfile.ZipInfo], limits: ParseLimits) -> None:
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise ParseRefused("encrypted", "文件设有密码，请去掉密码后再上传。")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.max_unpacked_bytes or len(entries) > limits.max_zip_entries:
        raise ParseRefused("zip_bomb", "文件解压后过大，疑似压缩炸弹，未打开。")
    for entry in entries:
        if entry.file_size > _SMALL_ENTRY and entry.file_size > limits.max_ratio * max(entry.compress_size, 1):
            raise ParseRefused("zip_bomb", "文件的压缩比异常，疑似压缩炸弹，未打开。")
