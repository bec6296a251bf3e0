"""Chinese text by its sound: one character for each syllable, without tones and without what typists mix up."""

import re
import threading
from functools import lru_cache

from pypinyin import lazy_pinyin

_MIXED_UP = ((re.compile("^(z|c|s)h"), r"\1"), (re.compile("(a|e|i)ng$"), r"\1n"))
_PRIVATE_USE = 0xE000  # some 400 syllables get a character each
_codes: dict[str, str] = {}
_lock = threading.Lock()


def sound_out(text: str) -> str:
    """As many characters as `text` has: equal ones sound alike. What is no Chinese character stands for itself."""
    return "".join(map(_code, text))


@lru_cache(maxsize=32768)
def _code(character: str) -> str:
    if not "\u4e00" <= character <= "\u9fff":
        return character
    syllable = lazy_pinyin(character)[0]
    for pattern, plain in _MIXED_UP:
        syllable = pattern.sub(plain, syllable)
    with _lock:
        return _codes.setdefault(syllable, chr(_PRIVATE_USE + len(_codes)))
