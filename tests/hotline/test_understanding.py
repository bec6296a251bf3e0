"""The wordings of a question as the desk stores them."""

from __future__ import annotations

from typing import Any

from hotline.understanding import read_question, understand_question
from kb.query_understanding.focus import LONG_QUESTION

COMPLAINT = (
    "你好，我是青溪区幸福里小区的业主，我们小区自从去年换了物业以后问题特别多，电梯三天两头坏，楼道里堆满杂物也没有人管。"
    "上个月开始我家卫生间天花板一直漏水，楼上的邻居说是公共管道的问题，让我找物业。我找了物业五次，物业说要找开发商，"
    "开发商又说过了保修期。我母亲七十多岁了，每天要用脸盆接水，实在没有办法。请问楼上漏水物业一直不维修应该由谁负责？"
    "希望有关部门尽快帮助协调解决，谢谢你们。小区大门的门禁也坏了很久，晚上外人随便进出，我们都很担心安全问题。"
)


def test_clear_question_is_searched_as_it_is() -> None:
    first, *rest = understand_question("公共租赁住房的申请条件是什么？")

    assert first.kind in {"original", "cleaned"}
    assert first.is_used
    assert not any(wording.is_used for wording in rest)


def test_courtesies_are_not_searched_but_the_question_is_kept() -> None:
    wordings = understand_question("你好，请问公租房怎么申请？")

    assert wordings[0].kind == "cleaned"
    assert "请问" not in wordings[0].text
    assert "公租房" in wordings[0].text
    assert wordings[1].text == "你好，请问公租房怎么申请？"


def test_rewrites_are_offered_with_their_reason() -> None:
    rewrites = [w for w in understand_question("公租房怎么申请") if w.kind == "expanded"]

    assert any("公共租赁住房" in w.text and "公租房" in w.explanation for w in rewrites)


def test_chosen_rewrites_are_searched() -> None:
    offered = next(w for w in understand_question("公租房怎么申请") if w.kind == "expanded")
    wordings = understand_question("公租房怎么申请", chosen=[offered.text])

    assert [w.text for w in wordings[1:] if w.is_used] == [offered.text]


def test_of_a_long_complaint_the_matter_is_searched() -> None:
    assert len(COMPLAINT) > LONG_QUESTION
    first = understand_question(COMPLAINT)[0]

    assert first.kind == "focus"
    assert "漏水" in first.text
    assert len(first.text) < 0.6 * len(COMPLAINT)


def test_focus_is_a_step_that_can_be_taken_off() -> None:
    focused = read_question(COMPLAINT)
    whole = read_question(COMPLAINT, without=["focus:全文"])

    assert [step.after for step in focused.steps if step.key == "focus:全文"] == [focused.wordings[0].text]
    assert whole.wordings[0].kind == "cleaned"
    assert "门禁也坏了很久" in whole.wordings[0].text
    assert not any(wording.kind == "focus" for wording in whole.wordings)


def test_rewrites_of_a_long_question_are_made_of_its_focus() -> None:
    first, *rest = understand_question("我住公租房。" + COMPLAINT)
    rewrites = [wording for wording in rest if wording.kind in {"synonyms", "expanded", "policy_form"}]

    assert rewrites
    assert all(len(wording.text) < 1.5 * len(first.text) for wording in rewrites)


def test_places_are_steps_that_can_be_taken_off() -> None:
    def names(question: str, **given: Any) -> list[str]:
        return read_question(question, **given).place_names

    assert names("青溪区公租房怎么申请") == ["青溪区"]
    assert names("青溪区公租房怎么申请", without=["place:青溪区"], region="望江区") == []
    assert names("公租房怎么申请", region="云岚市望江区") == ["云岚市", "望江区"]
    assert names("青溪区公租房怎么申请", region="望江区") == ["青溪区"]
    assert names(COMPLAINT) == ["青溪区"]


def test_question_of_courtesies_alone_is_still_a_question() -> None:
    assert understand_question("你好")[0].text
