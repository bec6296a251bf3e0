import pytest

from kb.query_understanding.meaning import keeps_meaning, read_meaning


@pytest.mark.parametrize(
    ("text", "negations"),
    [
        ("可以办理", 0),
        ("不予办理", 1),
        ("没有办理", 1),
        ("不是不办", 2),
        ("禁止停放", 1),
        ("能不能办", 0),
        ("有没有补贴", 0),
        ("可不可以", 0),
        ("办没办", 0),
        ("特别困难", 0),
        ("不动产登记", 0),
        ("未成年人", 0),
        ("非机动车道", 0),
        ("别墅", 0),
        ("别办", 1),
    ],
)
def test_read_meaning_counts_what_negates(text, negations):
    assert read_meaning(text).negations == negations


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("补贴20万元", ("20万",)),
        ("2026年3月1日", ("2026", "3", "1")),
        ("1,200.5元", ("1,200.5",)),
        ("下降5%", ("5%",)),
        ("三个月", ("三",)),
        ("咨询一下", ()),
        ("一网通办", ()),
        ("几天能办好", ()),
        ("第十二条", ()),
        ("两年", ("两",)),
    ],
)
def test_read_meaning_lists_numbers_in_order(text, numbers):
    assert read_meaning(text).numbers == numbers


@pytest.mark.parametrize(
    ("text", "start", "end", "after", "kept"),
    [
        ("不给办证", 0, 3, "不予办理", True),
        ("不给办证", 0, 3, "办理", False),
        ("能不能办", 2, 4, "予以办理", False),  # 能不 is a negation where 能不能 was none
        ("补3天", 1, 2, "5", False),
        ("房子漏水", 2, 4, "渗漏", True),
    ],
)
def test_keeps_meaning_reads_a_change_in_its_context(text, start, end, after, kept):
    assert keeps_meaning(text, start, end, after) is kept
