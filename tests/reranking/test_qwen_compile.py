from __future__ import annotations

import logging

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from reranking import qwen_compile
from reranking.qwen_compile import FEWEST_ROWS, are_compiled, can_compile, compile_rows, is_worth_compiling
from reranking.qwen_int8 import Int8Steps, compile_int8_steps, quantize_rows
from reranking.qwen_pointwise import RotaryTable, compile_pointwise, norm_rotate, norm_rows


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
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_steps_give_what_the_plain_ones_give(dtype):
    rows, weight = torch.randn(40, 32).to(dtype), torch.rand(32)
    angles = torch.randn(40, 4)
    rotations = RotaryTable.from_cosine_sine(angles.cos(), angles.sin()).look_up(torch.arange(40))
    pointwise, int8 = compile_pointwise(), compile_int8_steps()
    torch.testing.assert_close(pointwise.norm(rows, weight, 1e-6), norm_rows(rows, weight, 1e-6))
    keys = torch.randn(30, 2, 2, 8)[:, 0]  # as they lie beside the values
    for heads in (torch.randn(40, 4, 8), keys):
        arguments = heads.to(dtype), torch.rand(8), rotations[: len(heads)], 1e-6, dtype
        torch.testing.assert_close(pointwise.norm_rotate(*arguments), norm_rotate(*arguments))
    values, scale = quantize_rows(rows)
    compiled_values, compiled_scale = int8.quantize(rows)
    torch.testing.assert_close(compiled_scale, scale)
    assert (compiled_values.int() - values.int()).abs().max() <= 1
    product, plain = (values.float() * 3).to(dtype), Int8Steps()
    for step, others in (("rescale", ()), ("silu", ()), ("multiply", (rows,)), ("add", (rows,))):
        arguments = product, scale, *others
        torch.testing.assert_close(getattr(int8, step)(*arguments), getattr(plain, step)(*arguments))
