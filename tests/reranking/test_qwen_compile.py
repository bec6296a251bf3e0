from __future__ import annotations

import logging

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from reranking import qwen_compile
from reranking.qwen_compile import FEWEST_ROWS, are_compiled, can_compile, compile_rows, is_worth_compiling
from reranking.qwen_int8 import Int8Steps, compile_int8_steps, quantize_rows
from reranking.qwen_pointwise import compile_pointwise, norm_rotate, norm_rows


def double(rows: torch.Tensor) -> torch.Tensor:
    return rows * 2


@pytest.fixture
def failing_compiler(monkeypatch):
    """A compiler that is there and does not work, as one without Python's headers."""
    calls = []

    def compile_nothing(function, **options):
        def run(*arguments):
            calls.append(1)
            raise TorchDynamoException("no Python.h")

        return run

    monkeypatch.setattr(torch, "compile", compile_nothing)
    return calls


def test_failing_compiler_is_said_once_and_done_without(failing_compiler, caplog):
    run = compile_rows(double)
    with caplog.at_level(logging.WARNING, "reranking.qwen_compile"):
        results = [run(torch.ones(FEWEST_ROWS, 2)) for _ in range(3)]
    assert all(bool((result == 2).all()) for result in results)
    assert len(failing_compiler) == 1
    assert caplog.text.count("no Python.h") == 1


def test_few_rows_run_plain(failing_compiler):
    assert compile_rows(double)(torch.ones(FEWEST_ROWS - 1, 2)).sum() == 4 * (FEWEST_ROWS - 1)
    assert failing_compiler == []


def test_whether_it_is_compiled_is_known(failing_compiler):
    run = compile_rows(double)
    assert are_compiled(run)
    assert not are_compiled(run, double)
    run(torch.ones(FEWEST_ROWS, 2))
    assert not are_compiled(run)


@pytest.mark.parametrize(("compiler", "expected"), [("/usr/bin/g++", True), (None, False)])
def test_device_needs_a_compiler(monkeypatch, compiler, expected):
    monkeypatch.setattr(qwen_compile.shutil, "which", lambda name: compiler)
    assert can_compile(torch.device("cpu")) is expected
    assert can_compile(torch.device("cuda")) is expected


def test_small_models_are_not_compiled():
    assert not is_worth_compiling(torch.nn.Linear(10, 10))
    assert is_worth_compiling(torch.nn.Linear(20_000, 6_000, device="meta"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not can_compile(torch.device("cpu")), reason="torch.compile needs a C++ compiler")
def test_compiled_steps_give_what_the_plain_ones_give():
    rows, weight = torch.randn(40, 32), torch.rand(32)
    heads, half = torch.randn(40, 4, 8), torch.randn(40, 1, 4)
    pointwise, int8 = compile_pointwise(), compile_int8_steps()
    torch.testing.assert_close(pointwise.norm(rows, weight, 1e-6), norm_rows(rows, weight, 1e-6))
    arguments = (heads, torch.rand(8), half.cos(), half.sin(), 1e-6, torch.float32)
    torch.testing.assert_close(pointwise.norm_rotate(*arguments), norm_rotate(*arguments))
    values, scale = quantize_rows(rows)
    compiled_values, compiled_scale = int8.quantize(rows)
    torch.testing.assert_close(compiled_scale, scale)
    assert (compiled_values.int() - values.int()).abs().max() <= 1
    product, column = values.int() * 3, torch.rand(32)
    torch.testing.assert_close(int8.add(product, scale, column, rows), Int8Steps().add(product, scale, column, rows))
