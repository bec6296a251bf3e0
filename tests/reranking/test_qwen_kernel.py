"""The compiled kernel, against plain masked attention over the same bfloat16 numbers."""

from __future__ import annotations

import shutil

import pytest
import torch
from hypothesis import example, given, settings

from reranking import qwen_kernel
from reranking.qwen_kernel import KernelAttention, KernelUnavailable
from tests.reranking.test_qwen_attention import expected_over_pack, filled_pack, packs

SIZE = 64

needs_kernel = pytest.mark.skipif(
    not torch.cpu._is_avx512_bf16_supported(), reason="the processor has no AVX-512 BF16, which the kernel is for"
)


@pytest.fixture(scope="module")
def kernel() -> KernelAttention:
    return KernelAttention(SIZE)


@pytest.fixture(autouse=True)
def _compile_anew() -> None:
    qwen_kernel._compile.cache_clear()


def filled(shape, top=5):
    """A pack with bfloat16 numbers, and what comes of the same numbers in float32."""
    pack, tensors = filled_pack(shape[0], roots=shape[1], top=top, size=SIZE, dtype=torch.bfloat16)
    wide, wide_tensors = filled_pack(shape[0], roots=shape[1], top=top, size=SIZE)
    rounded = [tensor.bfloat16().float() for tensor in wide_tensors]
    for group in wide.groups:
        if group.owner is not None:
            group.owner.forget()
            group.owner.extend(*(tensor[group.start : group.stop] for tensor in rounded[1:]))
    return pack, tensors, expected_over_pack(wide, *rounded)


@needs_kernel
class TestKernel:
    @given(packs)
    @example(([[700], [40, 1200]], 1))  # more keys than are weighed at once, of prefix and run
    @settings(max_examples=15, deadline=None)
    def test_every_row_sees_its_prefix_and_what_came_before(self, kernel, shape):
        pack, tensors, expected = filled(shape)
        torch.testing.assert_close(kernel.over_pack(*tensors, pack, 0).float(), expected, atol=0.02, rtol=0.01)

    @given(packs)
    @settings(max_examples=15, deadline=None)
    def test_last_rows_are_those_of_the_whole_pack(self, kernel, shape):
        pack, (queries, keys, values), expected = filled(shape)
        last = kernel.over_last(queries[pack.last_rows], keys, values, pack, 0)
        torch.testing.assert_close(last.float(), expected[pack.last_rows], atol=0.02, rtol=0.01)

    def test_long_shared_prefix_is_weighed_chunk_by_chunk(self, kernel):
        pack, tensors, expected = filled(([[5, 90]], 1), top=1500)
        torch.testing.assert_close(kernel.over_pack(*tensors, pack, 0).float(), expected, atol=0.02, rtol=0.01)

    def test_scores_far_apart_leave_no_nan(self, kernel):
        pack, (queries, keys, values), _ = filled(([[40]], 1))
        result = kernel.over_pack(queries * 200, keys, values, pack, 0)
        assert torch.isfinite(result).all()

    def test_numbers_that_are_none_are_not_swallowed(self, kernel):
        """Else a broken pass would come out as an order."""
        pack, (queries, keys, values), _ = filled(([[40]], 1))
        first = pack.documents[0].span.start
        keys[first + 3, :, 5] = float("nan")
        result = kernel.over_pack(queries, keys, values, pack, 0)
        assert not torch.isfinite(result[first + 3 :]).all(dim=-1).any()
        assert torch.isfinite(result[: first + 3]).all()

    def test_rows_that_fill_a_pack_up_come_out_as_zeros(self, kernel):
        pack, tensors, expected = filled(([[5, 9]], 1))
        longer = [torch.cat((tensor, torch.full((3, *tensor.shape[1:]), 7.0).bfloat16())) for tensor in tensors]
        result = kernel.over_pack(*longer, pack, 0)
        torch.testing.assert_close(result[: len(pack.ids)].float(), expected, atol=0.02, rtol=0.01)
        assert not result[len(pack.ids) :].any()

    def test_numbers_that_it_does_not_read_are_refused(self, kernel):
        pack, (queries, keys, values), _ = filled(([[5]], 1))
        with pytest.raises(ValueError, match="float32"):
            kernel.over_pack(queries, keys.float(), values, pack, 0)
        with pytest.raises(ValueError, match="strides"):
            kernel.over_pack(queries, keys, values.transpose(1, 2).contiguous().transpose(1, 2), pack, 0)

    def test_wrong_kernel_is_found_out(self, monkeypatch):
        monkeypatch.setattr(qwen_kernel, "_compile", lambda head_size: lambda *arguments: None)
        monkeypatch.setattr(torch, "empty_like", torch.zeros_like)
        with pytest.raises(KernelUnavailable, match="wrong by"):
            KernelAttention(SIZE)

    def test_compiler_that_fails_is_said(self, monkeypatch):
        monkeypatch.setattr(qwen_kernel, "OPTIONS", ["-no-such-option"])
        with pytest.raises(KernelUnavailable, match="cannot be compiled"):
            KernelAttention(SIZE)

    def test_machine_without_room_for_files_is_said(self, monkeypatch):
        monkeypatch.setattr(qwen_kernel.tempfile, "tempdir", "/nowhere")
        with pytest.raises(KernelUnavailable, match="/nowhere"):
            KernelAttention(SIZE)

    def test_absent_compiler_is_said(self, monkeypatch):
        monkeypatch.setattr(shutil, "which", lambda name: None)
        with pytest.raises(KernelUnavailable, match=r"g\+\+"):
            KernelAttention(SIZE)


def test_processor_without_such_instructions_is_said(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with pytest.raises(KernelUnavailable, match="AVX-512 BF16"):
        KernelAttention(SIZE)


def test_heads_that_do_not_fit_are_said():
    with pytest.raises(KernelUnavailable, match="48"):
        KernelAttention(48)
