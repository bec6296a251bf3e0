"""Int8 products: exact in their integers, near in their numbers, and left out where a processor saturates."""

from __future__ import annotations

import logging

import pytest
import torch

from reranking import qwen
from reranking.qwen import QwenReranker
from reranking.qwen_int8 import Int8Linear, Int8Product, Int8Steps, has_exact_int8, quantize_rows, wide_rows
from tests.reranking.models import save_model, tiny_config, train_tokenizer

CPU = torch.device("cpu")
needs_int8 = pytest.mark.skipif(not has_exact_int8(), reason="this processor has no exact int8 products")


@pytest.fixture
def weight() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(64, 96)


@pytest.fixture
def rows() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(20, 96) * torch.logspace(-3, 3, 20)[:, None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tokenizer = train_tokenizer()
    return save_model(tmp_path_factory.mktemp("tiny"), tiny_config(len(tokenizer)), tokenizer)


@pytest.fixture(scope="module")
def int8(folder) -> QwenReranker:
    return QwenReranker(str(folder), device="cpu", dtype="float32", threads=1, int8=True)


def test_rows_are_quantised_by_their_own_scale(rows):
    values, scale = quantize_rows(rows)
    assert values.dtype is torch.uint8
    assert (values.float() - 128).abs().amax(-1).eq(127).all()
    assert (((values.float() - 128) * scale - rows).abs() <= scale / 2 * 1.001).all()


def test_row_of_zeros_stays_zeros():
    values, scale = quantize_rows(torch.zeros(1, 8))
    assert values.eq(128).all()
    assert torch.isfinite(scale).all()


@needs_int8
def test_product_sums_its_integers_exactly():
    torch.manual_seed(2)
    values = torch.randint(1, 256, (30, 512), dtype=torch.uint8)
    weight = torch.randint(-127, 128, (64, 512)).float()
    weight[:, 0] = 127  # so that the scale of each row is one
    expected = (values.double() - 128) @ weight.double().T
    assert torch.equal(Int8Product(weight, torch.float32, 30)(values).double(), expected)


@needs_int8
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_gives_nearly_what_the_weight_gives(weight, rows, dtype):
    linear, other = Int8Linear(weight.to(dtype), Int8Steps(), 20), torch.randn(20, 64).to(dtype)
    prepared = linear.prepare(rows.to(dtype))
    expected = rows @ weight.T
    scale = expected.abs().amax(-1, keepdim=True)
    for found, wanted in (
        (linear.apply(prepared), expected),
        (linear.apply_silu(prepared), torch.nn.functional.silu(expected)),
        (linear.apply_multiply(prepared, other), expected * other.float()),
        (linear.apply_add(prepared, other), expected + other.float()),
    ):
        assert found.dtype is dtype
        assert ((found.float() - wanted).abs() <= 0.03 * (scale + wanted.abs())).all()


@needs_int8
def test_row_does_not_depend_on_its_neighbours(weight, rows):
    linear = Int8Linear(weight, Int8Steps(), 20)
    together = linear.apply(linear.prepare(rows))
    for number in range(len(rows)):
        alone = linear.apply(linear.prepare(rows[number : number + 1]))
        torch.testing.assert_close(alone[0], together[number])


def test_saturating_products_are_found_out(monkeypatch):
    monkeypatch.setattr(Int8Product, "__call__", lambda self, values: torch.full((2, 64), 1.0))
    assert not has_exact_int8()


def test_missing_products_are_found_out(monkeypatch):
    def fail(self, *arguments):
        raise RuntimeError("not built with it")

    monkeypatch.setattr(Int8Product, "__init__", fail)
    assert not has_exact_int8()


def test_int8_is_left_out_and_said_so_where_it_is_not_exact(monkeypatch, caplog):
    monkeypatch.setattr(qwen, "has_exact_int8", lambda: False)
    with caplog.at_level(logging.WARNING):
        assert not qwen._can_int8(CPU)
    assert "not exact" in caplog.text


def test_wider_results_take_fewer_rows_at_once():
    assert (wide_rows(torch.bfloat16), wide_rows(torch.float32)) == (1024, 512)


@needs_int8
class TestEngine:
    pairs = [
        ("楼上漏水物业不管咋办", text)
        for text in ("共用部位渗漏由物业维修。", "居住证应当提交身份证。", "公交票价两元。")
    ]

    def test_scores_do_not_depend_on_neighbours(self, int8):
        together = int8.score_pairs(self.pairs)
        assert [int8.score_pairs([pair])[0] for pair in self.pairs] == pytest.approx(together, abs=1e-4)

    def test_scores_are_near_the_exact_ones(self, int8, folder):
        exact = QwenReranker(str(folder), device="cpu", dtype="float32", threads=1).score_pairs(self.pairs)
        rough = int8.score_pairs(self.pairs)
        assert rough == pytest.approx(exact, abs=0.2)
        assert rough != pytest.approx(exact, abs=1e-6)

    def test_info_says_so(self, int8):
        assert int8.info.dtype == "float32+int8"
        assert int8.status()["int8"] is True
