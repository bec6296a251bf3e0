"""Masks a citizen's personal data before a question is stored or logged. Pure.

Masked are mobile and landline telephone numbers, identity-card numbers, bank-card numbers and e-mail addresses, in
half or full width, with spaces or dashes between the digits. Document numbers, dates, amounts and public short
numbers (12345, 110, 95xxx, 400…) stay. Masking a masked text changes nothing.
"""

import re
from collections.abc import Iterator
from datetime import date
from itertools import cycle
from typing import NamedTuple

STARS = "****"
LONGEST = 19  # digits of a bank card

_FOLD = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {ord("　"): " ", ord("—"): "-", ord("–"): "-"}
_GROUP = re.compile(r"[0-9]+(?:[Xx](?![A-Za-z0-9]))?")
_RUN = re.compile(rf"{_GROUP.pattern}(?:[ \-()]{{1,2}}{_GROUP.pattern})*")
_UNIT = re.compile(r" ?(?:[元%万亿吨]|平方米|公里)")

_IDENTITY_CARD = re.compile(r"[1-9][0-9]{16}[0-9Xx]")
_OLD_IDENTITY_CARD = re.compile(r"[1-9][0-9]{14}")
_BANK_CARD = re.compile(r"[3-69][0-9]{14,18}")
_MOBILE = re.compile(r"(?:(?:00)?86)?1[3-9][0-9]{9}")
_LANDLINE = re.compile(r"(?:(?:00)?86)?0[1-9][0-9]{1,2}[2-8][0-9]{6,7}")
# Without an area code only the words before tell a telephone number from any other.
_LOCAL_NUMBER = re.compile(
    r"(?:电话|座机|固话|号码|联系方式|致电|拨打)[是为:： ]{0,3}(?P<number>[2-8][0-9]{2,3}[ \-]?[0-9]{4})(?![0-9\-])"
)
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}"
)


class PersonalData(NamedTuple):
    """A stretch `text[start:end]` to hide; `kind`: identity_card, bank_card, mobile, landline or email."""

    start: int
    end: int
    kind: str
    masked: str


def mask_personal_data(text: str) -> str:
    """The text with personal data replaced, as in 138****0000; everything else stays character for character."""
    while (masked := _mask_once(text)) != text:  # what is left of one number may read as another; digits only get fewer
        text = masked
    return text


def mask_note(text: str, limit: int) -> str:
    """What somebody wrote beside something, as it is stored: masked, trimmed, at most `limit` characters."""
    return mask_personal_data(text.replace("\0", "").strip())[:limit]


def _mask_once(text: str) -> str:
    parts, at = [], 0
    for found in find_personal_data(text):
        parts += [text[at : found.start], found.masked]
        at = found.end
    return "".join(parts) + text[at:]


def find_personal_data(text: str) -> list[PersonalData]:
    """What would be masked, in order and without overlap."""
    folded = text.translate(_FOLD)
    found: list[PersonalData] = []
    for candidate in (*_find_emails(folded), *_find_numbers(folded), *_find_local_numbers(folded)):
        if all(candidate.end <= other.start or other.end <= candidate.start for other in found):
            found.append(candidate)
    return sorted(found)


def is_identity_card(number: str) -> bool:
    """18 characters with a real day of birth. A wrong check digit is a typing error and masked all the same."""
    return _IDENTITY_CARD.fullmatch(number) is not None and _is_birthday(number[6:14])


def is_old_identity_card(number: str) -> bool:
    """15 digits of an identity card from before 1999, with a real day of birth."""
    return _OLD_IDENTITY_CARD.fullmatch(number) is not None and _is_birthday("19" + number[6:12])


def is_bank_card(number: str) -> bool:
    """15 to 19 digits that satisfy the Luhn checksum (ISO/IEC 7812-1)."""
    if _BANK_CARD.fullmatch(number) is None or len(set(number)) == 1:
        return False
    products = (int(digit) * factor for digit, factor in zip(reversed(number), cycle((1, 2)), strict=False))
    return sum(product - 9 if product > 9 else product for product in products) % 10 == 0


def _is_birthday(digits: str) -> bool:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return 1880 <= born.year <= 2100


def _mask_number(number: str) -> tuple[str, str] | None:
    """The kind of a number without its separators, and what is shown of it; None where it is nobody's."""
    if is_identity_card(number) or is_old_identity_card(number):
        return "identity_card", number[:4] + STARS + number[-2:]
    if is_bank_card(number):
        return "bank_card", number[:4] + STARS + number[-4:]
    if _MOBILE.fullmatch(number):
        return "mobile", number[-11:-8] + STARS + number[-4:]
    if _LANDLINE.fullmatch(number):
        return "landline", STARS + number[-2:]
    return None


def _find_numbers(text: str) -> Iterator[PersonalData]:
    for run in _RUN.finditer(text):
        groups = [match.span() for match in _GROUP.finditer(text, *run.span())]
        for start, end, number in _joined_groups(text, groups):
            masked = _mask_number(number)
            if masked and not _UNIT.match(text, end):
                yield PersonalData(start, end, *masked)


def _joined_groups(text: str, groups: list[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
    """Every number that neighbouring groups of digits make, longer ones first; it starts with 2 digits or more."""
    joined = []
    for first, (start, after) in enumerate(groups):
        number = ""
        for left, right in groups[first:]:
            number += text[left:right]
            if len(number) > LONGEST or after - start < 2:
                break
            joined.append((start, right, number))
    return iter(sorted(joined, key=lambda found: -len(found[2])))


def _find_local_numbers(text: str) -> Iterator[PersonalData]:
    for match in _LOCAL_NUMBER.finditer(text):
        if not _UNIT.match(text, match.end()):
            yield PersonalData(*match.span("number"), "landline", STARS + match["number"][-2:])


def _find_emails(text: str) -> Iterator[PersonalData]:
    for match in _EMAIL.finditer(text):
        name, _, host = match[0].partition("@")
        yield PersonalData(*match.span(), "email", f"{name[0]}{STARS}@{host}")
