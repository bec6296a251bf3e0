"""Bytes to text: UTF-8 with or without BOM, UTF-16, GB18030 (which holds GBK and GB2312), else a guess."""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

from kb.parsing.types import ParseRefused

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHINESE = (("gb18030", "strict"), ("gb18030", "replace"))
_FORGIVEN = 500  # one damaged character in so many
_GUESSES = ["big5", "utf_16_le", "utf_16_be", "cp1252"]
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
_ODD = re.compile("[\ue000-\uf8ff\ufffd\u0080-\u009f]")


def decode_text(data: bytes, *, declared: str = "") -> str:
    """The text of `data`. `declared` is what the file says of itself, believed if it fits.

    Raises ParseRefused (unknown_encoding) where nothing fits.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, errors="replace")
    for encoding, errors in (("utf-8", "strict"), ("utf-8", "replace"), (_python_name(declared), "strict"), *_CHINESE):
        text = _try_decode(data, encoding, errors)
        if text is not None:
            return text
    best = from_bytes(data[:200_000], cp_isolation=_GUESSES).best()
    if best is not None and not looks_binary(data):
        return data.decode(best.encoding, errors="replace")
    raise ParseRefused("unknown_encoding", "无法识别文字编码，请另存为 UTF-8 后再上传。")


def looks_binary(data: bytes) -> bool:
    """Whether the first bytes hold control characters that no text has; UTF-16 has its BOM."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    return len(_BINARY.findall(data[:8192])) > 2


def _python_name(declared: str) -> str:
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        return "gb18030"
    return "gb18030" if name in {"gbk", "gb2312"} else name


def _try_decode(data: bytes, encoding: str, errors: str) -> str | None:
    """None where it does not decode to what people write. A cut last character is forgiven, and with `replace` a
    damaged byte here and there.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError:
        return None
    if errors == "replace":
        return text if text.count("\ufffd") <= len(text) // _FORGIVEN else None
    head = text[:50_000]
    return text if encoding == "utf-8" or len(_ODD.findall(head)) <= len(head) // 50 else None
