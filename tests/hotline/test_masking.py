from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.masking import find_personal_data, is_bank_card, is_identity_card, mask_personal_data

WIDE = str.maketrans("0123456789X-@", "０１２３４５６７８９Ｘ－＠")
digits = st.text("0123456789", min_size=1)
separators = st.sampled_from(["", " ", "-"])
chinese = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=20)
mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
landlines = st.from_regex(r"0(10|2[0-9]|[3-9][1-9][0-9])-[2-8][0-9]{7}", fullmatch=True)


@st.composite
def identity_cards(draw) -> str:
    born = draw(st.dates(date(1930, 1, 1), date(2025, 12, 31)))
    body = (
        draw(st.sampled_from(["110101", "330106", "440305"]))
        + born.strftime("%Y%m%d")
        + draw(st.from_regex("[0-9]{3}", fullmatch=True))
    )
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


@st.composite
def bank_cards(draw) -> str:
    body = "62" + draw(st.from_regex("[0-9]{13,16}", fullmatch=True))
    return next(body + str(last) for last in range(10) if is_bank_card(body + str(last)))


personal = st.one_of(mobiles, landlines, identity_cards(), bank_cards())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("我电话13800000000，请回电", "我电话138****0000，请回电"),
        ("138 0000 0000", "138****0000"),
        ("138-0000-0000", "138****0000"),
        ("+86 13800000000", "+138****0000"),
        ("１３８００００００００", "138****0000"),
        ("打0571-88881234或（0571）88881234", "打****34或（****34"),
        ("010 88881234", "****34"),
        ("座机是88881234", "座机是****34"),
        ("身份证11010119900307651X办证", "身份证1101****1X办证"),
        ("身份证１１０１０１１９９００３０７６５１Ｘ", "身份证1101****1X"),
        ("身份证110101 19900307 651x", "身份证1101****1x"),
        ("老身份证110101900307651", "老身份证1101****51"),
        ("卡号6222 0212 3456 7890 128", "卡号6222****0128"),
        ("邮箱zhang.san@example.com", "邮箱z****@example.com"),
        ("1.13800000000 2.13900000001", "1.138****0000 2.139****0001"),
        ("13800000000 3楼", "138****0000 3楼"),
        ("电话13800000000,0571-88881234", "电话138****0000,****34"),
    ],
)
def test_mask_personal_data_hides(text, masked):
    assert mask_personal_data(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "云府办规〔2025〕8号第十二条",
        "云府办规(2025)8号",
        "2026年11月21日、2026-11-21 09:30、20261121",
        "2020-2025年",
        "拨打12345、110、12366、95588、10086没人接",
        "客服400-810-1234",
        "补贴13800000000元",
        "总投资13812345678.00元".replace(".00", ""),
        "面积13800000000平方米",
        "工单20261121008712",
        "工单20261121-0087",
        "人民币1,380,000,000元，占3.1415926%",
        "统一社会信用代码91330106MA27XX1234",
        "身份证号码怎么改",
        "1101011990130765120",
        "3栋2单元1001室",
        "",
    ],
)
def test_mask_personal_data_leaves_what_is_not_personal(text):
    assert mask_personal_data(text) == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("13800000000", "mobile"),
        ("0571-88881234", "landline"),
        ("11010119900307651X", "identity_card"),
        ("6222021234567890128", "bank_card"),
        ("a@b.cn", "email"),
    ],
)
def test_find_personal_data_names_the_kind(text, kind):
    assert [(found.start, found.end, found.kind) for found in find_personal_data(text)] == [(0, len(text), kind)]


def test_is_identity_card_forgives_a_wrong_check_digit_but_not_a_wrong_birthday():
    assert is_identity_card("110101199003076510")
    assert not is_identity_card("110101199013076510")


def test_is_bank_card_needs_the_luhn_checksum():
    assert is_bank_card("6222021234567890128")
    assert not is_bank_card("6222021234567890129")


@given(chinese, personal, chinese, st.booleans())
def test_personal_data_never_survives(before, number, after, wide):
    text = before + (number.translate(WIDE) if wide else number) + "，" + after
    masked = mask_personal_data(text)
    assert number not in masked.translate(str.maketrans("０１２３４５６７８９Ｘ", "0123456789X"))
    assert masked.startswith(before)
    assert masked.endswith("，" + after)


@given(mobiles, separators, separators)
def test_a_mobile_number_in_groups_is_masked(number, first, second):
    text = number[:3] + first + number[3:7] + second + number[7:]
    assert mask_personal_data(text) == f"{number[:3]}****{number[-4:]}"


@given(bank_cards(), st.sampled_from([" ", "-"]), st.integers(1, 999))
def test_a_bank_card_in_groups_of_four_is_masked_whatever_number_follows(number, gap, following):
    grouped = gap.join(number[i : i + 4] for i in range(0, len(number), 4))
    assert grouped not in mask_personal_data(f"{grouped} {following}")


@given(
    st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y年%m月%d日", "%Y%m%d", "%Y.%m.%d"])
)
def test_a_date_is_never_masked(day, form):
    text = f"自{day.strftime(form)}起施行"
    assert mask_personal_data(text) == text


@given(st.integers(0, 10**13), st.sampled_from(["元", "万元", "%", "平方米", "亿元", "公里"]))
def test_an_amount_is_never_masked(amount, unit):
    assert mask_personal_data(f"补贴{amount}{unit}") == f"补贴{amount}{unit}"


@given(st.integers(1949, 2099), st.integers(1, 99999))
def test_a_document_number_is_never_masked(year, serial):
    for text in (f"国办发〔{year}〕{serial}号", f"国办发({year}){serial}号", f"国办发[{year}]{serial}号"):
        assert mask_personal_data(text) == text


@given(
    st.lists(st.one_of(personal, chinese, digits, separators, st.sampled_from("()（）@.X元")), max_size=8).map("".join)
)
def test_masking_is_idempotent_and_finds_spans_in_order(text):
    found = find_personal_data(text)
    assert all(0 <= f.start < f.end <= len(text) for f in found)
    assert all(left.end <= right.start for left, right in pairwise(found))
    masked = mask_personal_data(text)
    assert mask_personal_data(masked) == masked


@given(st.text(max_size=300))
def test_masking_accepts_any_text(text):
    assert len(mask_personal_data(text)) <= len(text) + 10 * len(find_personal_data(text))
