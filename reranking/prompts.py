"""The published prompt of Qwen3-Reranker, in pieces that can be tokenised apart without changing a token.

A prompt is prefix + head + query + document + suffix. The pieces meet where the tokenizer always begins a new
token: at the prompt's special tokens, and between a colon and the space after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reranking.types import Candidate

# Part of every cache key: change it when the text of the prompt changes.
TEMPLATE_VERSION = "qwen3-reranker-1"

PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"

PUBLISHED_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"

YES = "yes"
NO = "no"


@dataclass(frozen=True, slots=True)
class PromptPieces:
    """What differs between prompts: each tokenised by itself, in this order, after PREFIX and before SUFFIX."""

    head: str
    query: str
    document: str


@dataclass(frozen=True, slots=True)
class InstructionTemplate:
    """A task description: `key` is stable, administrators see `label`, the model reads `text`."""

    key: str
    label: str
    text: str


INSTRUCTION_TEMPLATES: Mapping[str, InstructionTemplate] = {
    template.key: template
    for template in (
        InstructionTemplate(
            "general",
            "通用（中文）",
            "根据市民向政务服务热线提出的问题，找出能够直接回答该问题的政策文件段落",
        ),
        InstructionTemplate(
            "general_english",
            "通用（英文）",
            "Given a citizen's question to a government service hotline, retrieve passages of policy documents that "
            "answer the question",
        ),
        InstructionTemplate("published", "模型默认（英文）", PUBLISHED_INSTRUCTION),
        InstructionTemplate(
            "policy_consultation",
            "政策咨询",
            "根据市民的政策咨询，找出写明适用对象、条件、标准或期限，能够答复该咨询的政策条文",
        ),
        InstructionTemplate(
            "service_guide",
            "办事指南",
            "根据市民要办理的事项，找出写明办理条件、所需材料、流程、时限、费用或办理地点的段落",
        ),
        InstructionTemplate(
            "complaint",
            "投诉举报",
            "根据市民投诉或举报的情况，找出写明责任部门、处理依据、处理期限或处罚措施的条文",
        ),
        InstructionTemplate(
            "legal_question",
            "法律问题",
            "根据市民用日常语言提出的法律问题，找出能够作为解答依据的法律条文",
        ),
        InstructionTemplate(
            "regulations",
            "法规规章",
            "根据所提问题，找出对所问行为作出规定、要求或禁止的法规、规章条款",
        ),
    )
}

# What scores can be compared with: the model's published values rest on this instruction.
DEFAULT_INSTRUCTION = PUBLISHED_INSTRUCTION


def format_document(candidate: Candidate) -> str:
    """A document as the model reads it: its title and 发文字号 on the first line, then the passage.

    The title comes first so that truncation, which cuts from the end, cuts only the passage.
    """
    number = f"（{candidate.document_number}）" if candidate.document_number else ""
    heading = f"{candidate.title}{number}"
    return f"{heading}\n{candidate.text}" if heading else candidate.text


def split_prompt(instruction: str, query: str, document: str) -> PromptPieces:
    """The prompt of one pair. Head and query depend on the query alone: their keys and values can be shared."""
    return PromptPieces(
        head=f"<Instruct>: {instruction}\n<Query>:",
        query=f" {query}\n<Document>:",
        document=f" {document}",
    )
