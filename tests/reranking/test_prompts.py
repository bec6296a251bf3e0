from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranking.prompts import (
    INSTRUCTION_TEMPLATES,
    PREFIX,
    SUFFIX,
    format_document,
    split_prompt,
)
from reranking.types import Candidate
from tests.reranking.models import (
    REFERENCE_INSTRUCTION,
    REFERENCE_PREFIX,
    REFERENCE_SUFFIX,
    train_tokenizer,
    write_prompt,
)

LINES_OF_BUSINESS = ("policy_consultation", "service_guide", "complaint", "legal_question", "regulations")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer()


def test_prefix_and_suffix_are_the_published_ones():
    assert (PREFIX, SUFFIX) == (REFERENCE_PREFIX, REFERENCE_SUFFIX)


def test_pieces_are_joined_by_single_line_breaks():
    pieces = split_prompt("做", "问", "文")
    assert pieces.head + pieces.query + pieces.document == write_prompt("做", "问", "文")


awkward = st.text(alphabet=st.sampled_from(list("我家 \n\t\r:<>？。a1́é　\u2028😀Ⅷ's-[|")), max_size=30)


@given(st.text() | awkward, st.text() | awkward, st.text() | awkward)
def test_pieces_have_the_tokens_of_the_whole(tokenizer, instruction, query, document):
    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False)

    pieces = split_prompt(instruction, query, document)
    whole = encode(write_prompt(instruction, query, document))
    assert encode(pieces.head) + encode(pieces.query) + encode(pieces.document) == whole


def test_every_line_of_business_has_an_instruction_of_its_own():
    texts = {INSTRUCTION_TEMPLATES[key].text for key in ("general", "general_english", *LINES_OF_BUSINESS)}
    assert len(texts) == len(LINES_OF_BUSINESS) + 2


def test_published_instruction_is_kept_word_by_word():
    assert INSTRUCTION_TEMPLATES["published"].text == REFERENCE_INSTRUCTION


def test_templates_are_labelled_for_administrators():
    assert all(template.label and template.key == key for key, template in INSTRUCTION_TEMPLATES.items())


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (Candidate("1", "居住证办法", "第一条", "云府规〔2025〕1号"), "居住证办法（云府规〔2025〕1号）\n第一条"),
        (Candidate("1", "居住证办法", "第一条"), "居住证办法\n第一条"),
        (Candidate("1", "", "第一条"), "第一条"),
    ],
)
def test_document_is_title_number_and_passage(candidate, expected):
    assert format_document(candidate) == expected
