"""Reading evaluation data, and dividing questions into folds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hotline.evaluation.data import (
    Document,
    EvaluationDataError,
    Question,
    is_in_even_half,
    load_documents,
    load_questions,
    split_by_document,
    split_halves,
)

DOCUMENTS = [Document("d1", "标题", "正文"), Document("d2", "标题", "正文")]


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", encoding="utf-8")
    return path


def ask(name: str, *right: str) -> Question:
    return Question(name, "问题", frozenset(right), "", "set", right[0])


def test_documents_are_read_with_their_number(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.jsonl",
        {"id": "a", "title": "办法", "content": "正文", "doc_no": "云府规〔2025〕8号", "level": "市"},
        {"id": "b", "title": "条例", "content": "正文"},
    )

    assert load_documents(path) == [
        Document("a", "办法", "正文", "云府规〔2025〕8号"),
        Document("b", "条例", "正文", ""),
    ]


def test_questions_are_read_with_every_right_document(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q.jsonl",
        {"qid": "q1", "question": "怎么办？", "doc_ids": ["d2", "d1"], "answer": "照办", "set": "ncp"},
        {"qid": "q2", "question": "谁办？", "doc_ids": ["d9"], "answer": None},
        {"qid": "q3", "question": "没有答案？", "doc_ids": []},
    )

    first, second = load_questions(path, DOCUMENTS)

    assert (first.right_ids, first.first_right_id, first.answer, first.set_name) == ({"d1", "d2"}, "d2", "照办", "ncp")
    assert (second.id, second.answer, second.set_name) == ("q2", "", "")


def test_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"id": "a", "title": "", "content": ""}', encoding="utf-8-sig")

    assert [document.id for document in load_documents(path)] == ["a"]


@pytest.mark.parametrize("line", ["{", "[]", '{"id": 1, "title": "", "content": ""}', '{"id": "a", "title": ""}'])
def test_line_that_is_wrong_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"id": "a", "title": "", "content": ""}\n' + line, encoding="utf-8")

    with pytest.raises(EvaluationDataError, match="第 2 行"):
        load_documents(path)


def test_questions_about_other_documents_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", {"qid": "q", "question": "？", "doc_ids": ["elsewhere"]})

    with pytest.raises(EvaluationDataError, match="没有一个问题"):
        load_questions(path, DOCUMENTS)


def test_half_is_the_parity_of_the_sha256_of_the_id() -> None:
    # Their last hexadecimal digits are b, d, 6 and 4.
    assert [name for name in "abcd" if is_in_even_half(ask(name, "x"))] == ["c", "d"]


def test_halves_are_measured_both_ways_round() -> None:
    questions = [ask(str(number), "d") for number in range(50)]

    (trained, measured), second = split_halves(questions)

    assert sorted(trained + measured) == list(range(50))
    assert second == (measured, trained)
    assert 10 < len(trained) < 40


def test_unseen_folds_share_no_right_document_with_what_they_were_trained_on() -> None:
    questions = [ask(str(number), f"d{number % 17}", f"d{number % 5}") for number in range(200)]

    splits = split_by_document(questions)

    assert sorted(place for _, measured in splits for place in measured) == list(range(200))
    for trained, measured in splits:
        held = set().union(*(questions[place].right_ids for place in measured))
        assert all(not questions[place].right_ids & held for place in trained)
