"""The embedder against the published computation: same weights, same tokenizer, same texts. Weights are random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM, Qwen3Model

from reranking import qwen_embedding, qwen_varlen
from reranking.embedding import EmbedderUnavailable, NonFiniteVector, format_query
from reranking.qwen_embedding import QwenEmbedder
from tests.reranking.models import save_model, tiny_config, train_tokenizer
from tests.reranking.test_qwen_attention import plain_kernel

QUERIES = ("楼上漏水物业不管咋办", "“居住证”怎么办？", "？", "Who repairs the roof?")
PASSAGES = (
    "住宅共用部位渗漏的，物业服务企业应当自接到报修之日起两个工作日内到场维修。",
    "申请居住证应当提交身份证、照片和居住地住址证明。" * 9,
    "",
    " 以空格开头，以换行结尾\n",
    "Passages in English, with 12 345 numbers.",
)
TEXTS = (*map(format_query, QUERIES), *PASSAGES)


def save_embedder(folder: Path, *, ends_texts: bool = True) -> Path:
    """As the hub has it: the tokenizer's own post-processor ends every text."""
    tokenizer = train_tokenizer()
    if ends_texts:
        end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="$A <|endoftext|>", pair="$A $B <|endoftext|>", special_tokens=[("<|endoftext|>", end)]
        )
    return save_model(folder, tiny_config(len(tokenizer)), tokenizer)


@torch.inference_mode()
def embed_as_published(
    folder: Path, texts: Sequence[str], *, max_length: int = 8192, dtype: torch.dtype = torch.float32
) -> np.ndarray:
    """The model card's computation: left padding, truncation, last token, length 1."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left")
    model = Qwen3Model.from_pretrained(folder, dtype=dtype).eval()
    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    batch.pop("token_type_ids", None)
    rows = model(**batch).last_hidden_state[:, -1].float()
    return torch.nn.functional.normalize(rows, p=2, dim=1).numpy()


def make_embedder(folder: Path, **settings: object) -> QwenEmbedder:
    return QwenEmbedder(str(folder), **{"device": "cpu", "threads": 1, "dtype": "float32", **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_embedder(tmp_path_factory.mktemp("embedder"))


@pytest.fixture(scope="module")
def embedder(folder: Path) -> QwenEmbedder:
    return make_embedder(folder)


def test_vectors_are_those_of_the_published_computation(folder: Path, embedder: QwenEmbedder) -> None:
    rows = embedder.embed_texts(TEXTS).rows

    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, embed_as_published(folder, TEXTS), atol=2e-5)


def test_bfloat16_stays_near_float32(folder: Path, embedder: QwenEmbedder) -> None:
    rows = make_embedder(folder, dtype="bfloat16").embed_texts(TEXTS).rows

    assert (rows * embedder.embed_texts(TEXTS).rows).sum(axis=1).min() > 0.995


def test_query_has_the_published_form() -> None:
    assert format_query("漏水") == (
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:漏水"
    )


@pytest.mark.parametrize("batch_tokens", [1, 60, 10_000])
def test_batches_change_no_vector_and_keep_the_order(folder: Path, embedder: QwenEmbedder, batch_tokens: int) -> None:
    alone = np.concatenate([embedder.embed_texts([text]).rows for text in TEXTS])

    together = make_embedder(folder, batch_tokens=batch_tokens).embed_texts(TEXTS).rows

    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_long_text_is_cut_before_its_last_token(folder: Path) -> None:
    rows = make_embedder(folder, max_length=24).embed_texts(PASSAGES).rows

    np.testing.assert_allclose(rows, embed_as_published(folder, PASSAGES, max_length=24), atol=2e-5)


def test_tokenizer_that_ends_no_text_gives_the_same_vectors(tmp_path: Path, embedder: QwenEmbedder) -> None:
    rows = make_embedder(save_embedder(tmp_path, ends_texts=False)).embed_texts(PASSAGES).rows

    np.testing.assert_allclose(rows, embedder.embed_texts(PASSAGES).rows, atol=2e-5)


def test_written_out_end_of_text_ends_nothing(embedder: QwenEmbedder) -> None:
    plain, with_end = embedder.embed_texts(["漏水", "漏水<|endoftext|>"]).rows

    assert float(plain @ with_end) < 0.999


def test_vectors_have_length_one_and_the_info_says_their_size(embedder: QwenEmbedder) -> None:
    found = embedder.embed_texts(TEXTS)

    np.testing.assert_allclose(np.linalg.norm(found.rows, axis=1), 1, atol=1e-6)
    assert found.rows.shape == (len(TEXTS), found.info.dimension) == (len(TEXTS), 64)
    assert embedder.embed_texts([]).rows.shape == (0, 64)


def test_revision_follows_the_weights(tmp_path: Path, embedder: QwenEmbedder) -> None:
    tokenizer = train_tokenizer()
    other = save_model(tmp_path, tiny_config(len(tokenizer)), tokenizer, seed=2)

    assert make_embedder(other).info.revision != embedder.info.revision


def test_grouped_kernel_calls_give_the_same_vectors(
    folder: Path, embedder: QwenEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU runs, with the kernel exchanged."""
    attention = qwen_varlen.VarlenAttention(torch.float32, plain_kernel)
    monkeypatch.setattr(qwen_embedding, "choose_attention", lambda device, dtype, head_size: attention)

    rows = make_embedder(folder).embed_texts(TEXTS).rows

    np.testing.assert_allclose(rows, embedder.embed_texts(TEXTS).rows, atol=2e-5)


def test_batch_that_does_not_fit_is_halved(
    folder: Path, embedder: QwenEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = make_embedder(folder)
    whole = embedder.embed_texts(TEXTS).rows
    run = type(small._network).run

    def run_out_of_memory(network: object, pack: object) -> torch.Tensor:
        if len(pack.documents) > 2:  # type: ignore[attr-defined]
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(network, pack)  # type: ignore[arg-type]

    monkeypatch.setattr(type(small._network), "run", run_out_of_memory)
    np.testing.assert_allclose(small.embed_texts(TEXTS).rows, whole, atol=2e-5)
    assert small.batches.tokens < len("".join(TEXTS))


def test_text_that_never_fits_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = make_embedder(folder)

    def run_out_of_memory(network: object, pack: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(embedder._network), "run", run_out_of_memory)
    with pytest.raises(EmbedderUnavailable, match="does not fit into memory"):
        embedder.embed_texts(["漏水"])


def test_vector_that_is_not_finite_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = make_embedder(folder)
    monkeypatch.setattr(
        type(embedder._network), "run", lambda network, pack: torch.full((len(pack.documents), 64), float("nan"))
    )
    with pytest.raises(NonFiniteVector):
        embedder.embed_texts(["漏水"])


def test_model_that_gives_nan_is_not_used(tmp_path: Path) -> None:
    tokenizer = train_tokenizer()
    folder = save_model(tmp_path, tiny_config(len(tokenizer)), tokenizer)
    model = Qwen3ForCausalLM.from_pretrained(folder)
    model.model.norm.weight.data.fill_(float("nan"))
    model.save_pretrained(folder)
    with pytest.raises(EmbedderUnavailable, match="probe"):
        make_embedder(folder)


def test_checkpoint_without_all_weights_is_refused(tmp_path: Path) -> None:
    tokenizer = train_tokenizer()
    folder = save_model(tmp_path, tiny_config(len(tokenizer)), tokenizer)
    model = Qwen3ForCausalLM.from_pretrained(folder)
    state = {name: weight for name, weight in model.state_dict().items() if "layers.1.mlp" not in name}
    model.save_pretrained(folder, state_dict=state)
    with pytest.raises(EmbedderUnavailable, match="lacks weights"):
        make_embedder(folder)


def test_missing_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailable):
        make_embedder(tmp_path / "nowhere", source="folder")
    with pytest.raises(ValueError, match="max_length"):
        make_embedder(tmp_path, max_length=4)
