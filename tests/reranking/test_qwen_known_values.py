from __future__ import annotations

import pytest

from reranking.prompts import PUBLISHED_INSTRUCTION
from reranking.qwen_known_values import KNOWN_LOG_ODDS, check_known_values, has_known_values


class FixedEngine:
    """Gives the log-odds it was made with and remembers what it was asked."""

    def __init__(self, log_odds: list[float]) -> None:
        self.log_odds = log_odds
        self.asked: list[tuple[list[tuple[str, str]], str | None]] = []

    def score_pairs(self, pairs, instruction=None):
        self.asked.append((list(pairs), instruction))
        return self.log_odds


def shifted(by: float) -> list[float]:
    return [value + by for value in KNOWN_LOG_ODDS]


def test_known_values_pass():
    check = check_known_values(FixedEngine(shifted(0.0)), "float32")
    assert check.passed
    assert check.largest_difference == 0.0


@pytest.mark.parametrize(
    ("dtype", "shift", "passed"),
    [
        ("float32", 0.005, True),
        ("float32", 0.05, False),
        ("bfloat16", 0.05, True),
        ("bfloat16", 0.5, False),
        ("bfloat16+int8", 0.5, True),
        ("bfloat16+int8", 1.0, False),
    ],
)
def test_tolerance_depends_on_the_dtype(dtype, shift, passed):
    assert check_known_values(FixedEngine(shifted(shift)), dtype).passed is passed


@pytest.mark.parametrize(
    ("name", "hidden_size", "known"),
    [
        ("Qwen3-Reranker-0.6B", None, True),
        ("remote:Qwen/Qwen3-Reranker-4B", None, False),
        ("qwen3-reranker-8b-int4", None, False),
        ("my-model", None, True),
        ("Qwen3-Reranker-0.4B", None, True),
        ("anything", 1024, True),
        ("Qwen3-Reranker-0.6B", 2560, False),
        ("reranker", 4096, False),
    ],
)
def test_values_are_known_of_one_size(name, hidden_size, known):
    assert has_known_values(name, hidden_size) is known


def test_other_order_fails_however_close():
    first, second, third, fourth = KNOWN_LOG_ODDS
    check = check_known_values(FixedEngine([first, fourth, third, second]), "bfloat16+int8")
    assert not check.order_kept
    assert not check.passed


def test_published_instruction_is_used():
    engine = FixedEngine(shifted(0.0))
    check_known_values(engine, "float32")
    ((pairs, instruction),) = engine.asked
    assert instruction == PUBLISHED_INSTRUCTION
    assert len(pairs) == len(KNOWN_LOG_ODDS)
