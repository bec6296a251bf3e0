"""The ways to attend, against plain masked attention over prefix and run."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reranking import qwen_attention
from reranking.qwen_attention import FlashAttention, ProductAttention, choose_attention
from reranking.qwen_kernel import KernelUnavailable
from reranking.qwen_pack import Pack, Prefix, build_pack
from reranking.qwen_varlen import Runs, VarlenAttention

HEADS, GROUPS, SIZE = 4, 2, 8
CPU = torch.device("cpu")


def attend_plainly(queries, keys, values, *, first_query: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax over the keys up to each query, and the log-sum-exp. Query i stands at key first_query + i."""
    keys, values = (tensor.repeat_interleave(HEADS // GROUPS, dim=1) for tensor in (keys, values))
    scores = torch.einsum("qhd,khd->qhk", queries, keys)
    later = torch.arange(len(keys))[None, :] > first_query + torch.arange(len(queries))[:, None]
    scores = scores.masked_fill(later[:, None, :], float("-inf"))
    return torch.einsum("qhk,khd->qhd", scores.softmax(-1), values), scores.logsumexp(-1)


def plain_kernel(queries, keys, values, query_runs: Runs, key_runs: Runs, causal: bool):
    """What the GPU's kernel does, run by run."""
    outputs, sums = [], []
    for number in range(len(query_runs.bounds) - 1):
        rows = slice(*query_runs.bounds[number : number + 2].tolist())
        seen = slice(*key_runs.bounds[number : number + 2].tolist())
        assert rows.stop - rows.start <= query_runs.longest
        assert seen.stop - seen.start <= key_runs.longest
        first = 0 if causal else seen.stop - seen.start
        output, lse = attend_plainly(queries[rows], keys[seen], values[seen], first_query=first)
        outputs.append(output)
        sums.append(lse)
    return torch.cat(outputs), torch.cat(sums)


def filled_pack(
    queries_lengths: list[list[int]], *, roots: int, top: int = 5, size: int = SIZE, dtype: torch.dtype = torch.float32
) -> tuple[Pack, tuple[torch.Tensor, ...]]:
    """A pack of queries with documents of these lengths, below one or more roots, with random numbers for its rows."""
    torch.manual_seed(0)
    tops = [Prefix([0] * (top + number)) for number in range(roots)]
    documents = []
    for number, lengths in enumerate(queries_lengths):
        query = Prefix([0] * (3 + number), tops[number % roots])
        documents += [([0] * length, query) for length in lengths]
    pack = build_pack(documents[::-1], CPU)
    tensors = tuple(torch.randn(len(pack.ids), heads, size).to(dtype) for heads in (HEADS, GROUPS, GROUPS))
    for group in pack.groups:
        if group.owner is not None:
            group.owner.extend(*(tensor[group.start : group.stop] for tensor in tensors[1:]))
    return pack, tensors


def expected_over_pack(pack: Pack, queries, keys, values) -> torch.Tensor:
    result = torch.empty_like(queries)
    for group in pack.groups:
        for span in group.spans:
            rows = slice(span.start, span.stop)
            above = group.prefix.layers[0] if group.prefix else (keys[:0], values[:0])
            seen = torch.cat((above[0], keys[rows])), torch.cat((above[1], values[rows]))
            result[rows] = attend_plainly(queries[rows], *seen, first_query=len(above[0]))[0]
    return result


packs = st.tuples(
    st.lists(st.lists(st.integers(1, 150), min_size=1, max_size=4), min_size=1, max_size=3), st.integers(1, 2)
)


@pytest.fixture(autouse=True)
def low_blocks(monkeypatch):
    """So that runs of test length take several."""
    monkeypatch.setattr(FlashAttention, "block_rows", 48)


@pytest.mark.parametrize(
    "attention",
    [ProductAttention(), FlashAttention(torch.float32), VarlenAttention(torch.float32, plain_kernel)],
    ids=["products", "flash", "varlen"],
)
class TestEveryWay:
    @given(packs)
    @settings(max_examples=12, deadline=None)
    def test_every_row_sees_its_prefix_and_what_came_before(self, attention, shape):
        pack, tensors = filled_pack(shape[0], roots=shape[1])
        torch.testing.assert_close(attention.over_pack(*tensors, pack, 0), expected_over_pack(pack, *tensors))

    @given(packs)
    @settings(max_examples=12, deadline=None)
    def test_last_rows_are_those_of_the_whole_pack(self, attention, shape):
        pack, (queries, keys, values) = filled_pack(shape[0], roots=shape[1])
        whole = expected_over_pack(pack, queries, keys, values)
        last = attention.over_last(queries[pack.last_rows], keys, values, pack, 0)
        torch.testing.assert_close(last, whole[pack.last_rows])


def test_prefix_computed_before_is_not_laid_out_again():
    root = Prefix([1, 2, 3])
    query = Prefix([4, 5], root)
    first = build_pack([([6], query)], CPU)
    root.computed = query.computed = True
    second = build_pack([([6], query)], CPU)
    assert (first.ids.tolist(), second.ids.tolist()) == ([1, 2, 3, 4, 5, 6], [6])
    assert second.positions.tolist() == [5]


def test_documents_keep_the_order_they_were_handed_in():
    root = Prefix([0])
    one, two = Prefix([1], root), Prefix([2], root)
    pack = build_pack([([7, 70], one), ([8], two), ([9], one)], CPU)
    assert pack.ids[pack.last_rows].tolist() == [70, 8, 9]


class FakeKernel(ProductAttention):
    def __init__(self, head_size: int) -> None:
        super().__init__()


@pytest.mark.parametrize("fastest", [ProductAttention, FlashAttention, FakeKernel])
def test_processor_attends_in_bfloat16_as_the_probe_says(monkeypatch, fastest):
    monkeypatch.setattr(qwen_attention, "KernelAttention", FakeKernel)
    monkeypatch.setattr(qwen_attention, "seconds_of_probe", lambda attention, size: type(attention) is not fastest)
    assert type(choose_attention(CPU, torch.bfloat16, 32)) is fastest


def test_processor_attends_without_a_kernel_of_its_own_where_there_is_none(monkeypatch, caplog):
    def refuse(head_size: int) -> FakeKernel:
        raise KernelUnavailable("没有编译器")

    monkeypatch.setattr(qwen_attention, "KernelAttention", refuse)
    caplog.set_level("INFO")
    assert type(choose_attention(CPU, torch.bfloat16, 32)) in {ProductAttention, FlashAttention}
    assert "没有编译器" in caplog.text


def test_probe_tells_the_slower_way(monkeypatch):
    class Slow(ProductAttention):
        def attend_block(self, *tensors):
            time.sleep(0.02)
            return super().attend_block(*tensors)

    quick, slow = (qwen_attention.seconds_of_probe(way, 32) for way in (ProductAttention(), Slow()))
    assert slow > quick
    assert slow >= 0.02


def test_processor_attends_by_products_in_float32():
    assert isinstance(choose_attention(CPU, torch.float32, 32), ProductAttention)


def test_gpu_attends_by_flash_in_half_precision_only(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    cuda = torch.device("cuda")
    assert isinstance(choose_attention(cuda, torch.bfloat16, 32), VarlenAttention)
    assert isinstance(choose_attention(cuda, torch.float32, 32), ProductAttention)


def test_gpu_older_than_the_flash_kernel_attends_by_products(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert isinstance(choose_attention(torch.device("cuda"), torch.float16, 32), ProductAttention)


def test_rows_that_fill_a_pack_up_come_out_as_zeros():
    pack, tensors = filled_pack([[5, 9]], roots=1)
    filled = [torch.cat((tensor, torch.full((3, *tensor.shape[1:]), 7.0))) for tensor in tensors]
    for attention in (ProductAttention(), FlashAttention(torch.float32)):
        result = attention.over_pack(*filled, pack, 0)
        torch.testing.assert_close(result[: len(pack.ids)], attention.over_pack(*tensors, pack, 0))
        assert not result[len(pack.ids) :].any()
