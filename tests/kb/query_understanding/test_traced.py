from hypothesis import given
from hypothesis import strategies as st

from kb.query_understanding.editing import Draft
from kb.query_understanding.traced import Replacement, TracedText


@st.composite
def edits(draw) -> tuple[str, list[Replacement]]:
    text = draw(st.text("甲乙丙丁ab", max_size=30))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    spans = zip(cuts[::2], cuts[1::2], strict=False)
    return text, [Replacement(a, b, draw(st.text("戊己庚", max_size=4))) for a, b in spans]


def test_replace_keeps_where_each_character_came_from():
    traced = TracedText("请问公基金").replace([Replacement(0, 2, ""), Replacement(3, 4, "积")])
    assert traced.text == "公积金"
    assert traced.origin(0, 3) == (2, 5)
    assert traced.origin(1, 2) == (3, 4)


def test_what_is_longer_stands_for_the_whole_it_replaced():
    traced = TracedText("办社保").replace([Replacement(1, 3, "社会保险")])
    assert [traced.origin(i, i + 1) for i in range(1, 5)] == [(1, 3)] * 4


def test_an_insertion_has_a_place_and_no_length():
    traced = TracedText("漏水").replace([Replacement(0, 0, "物业：")])
    assert traced.text == "物业：漏水"
    assert traced.origin(0, 3) == (0, 0)
    assert traced.origin(5, 5) == (2, 2)


@given(edits())
def test_replacements_give_the_text_and_one_origin_a_character(edit):
    text, replacements = edit
    expected, at = "", 0
    for start, end, after in replacements:
        expected += text[at:start] + after
        at = end
    traced = TracedText(text).replace(replacements)
    assert traced.text == expected + text[at:]
    assert len(traced.origins) == len(traced.text)
    assert all(0 <= start <= end <= len(text) for start, end in traced.origins)


@given(edits(), edits())
def test_origins_survive_several_rounds(first, second):
    traced = TracedText(first[0]).replace(first[1])
    bound = len(traced.text)
    again = traced.replace([r for r in second[1] if r.end <= bound])
    assert len(again.origins) == len(again.text)
    assert all(0 <= start <= end <= len(first[0]) for start, end in again.origins)


def test_edit_notes_each_step_and_drops_what_changes_the_meaning():
    draft = Draft.of("不给办3天")
    assert draft.edit("spoken", "改写", [Replacement(0, 3, "办理")]) is draft
    assert draft.edit("spoken", "改写", [Replacement(3, 4, "5")]) is draft
    changed = draft.edit("spoken", "改写", [Replacement(0, 3, "不予办理")])
    assert changed.text == "不予办理3天"
    assert [(step.before, step.after, step.start, step.end) for step in changed.steps] == [("不给办", "不予办理", 0, 3)]


def test_edit_leaves_out_what_is_not_wanted_and_never_empties_a_text():
    draft = Draft.of("你好漏水", without=["filler:你好", "noise"])
    assert draft.edit("filler", "客套", [Replacement(0, 2, "")]) is draft
    assert draft.edit("noise", "噪声", [Replacement(2, 3, "")]) is draft
    assert draft.edit("repetition", "重复", [Replacement(0, 4, "")]) is draft
