"""Weights and tokenizer of a Qwen3 model, from a folder, the Hugging Face hub or ModelScope, ready to run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor

from reranking.prompts import NO, YES
from reranking.qwen_attention import Attention
from reranking.qwen_linear import Linear
from reranking.qwen_network import WIDE_ROWS, Layer, Network, Sizes
from reranking.qwen_pointwise import Pointwise, RotaryTable
from reranking.types import RerankerUnavailable

logger = logging.getLogger(__name__)

Source = Literal["auto", "folder", "huggingface", "modelscope"]
MakeLinear = Callable[[Tensor], Linear]

LONGEST = 32_768  # tokens that the models are made for
STATIC_ROTARY = frozenset({"default", "linear", "yarn", "llama3"})


@dataclass(frozen=True)
class Checkpoint:
    """What was loaded. `head` is float32 [2, hidden]: yes and no (zeros for no where a classifier has one label)."""

    name: str
    revision: str
    model: Any
    head: Tensor
    tokenizer: Any


@dataclass(frozen=True)
class Loaded:
    """A model as transformers made it, on its device, with its tokenizer."""

    name: str
    revision: str
    model: Any
    tokenizer: Any


def find_model(location: str, source: Source) -> str:
    """A folder or hub id that transformers can load. Raises RerankerUnavailable."""
    is_folder = Path(location).is_dir()
    if source == "folder" and not is_folder:
        raise RerankerUnavailable(f"no folder at {location}")
    if source == "modelscope":
        return _fetch_from_modelscope(location)
    return location


def _fetch_from_modelscope(model_id: str) -> str:
    try:
        from modelscope import snapshot_download
    except ImportError as error:
        raise RerankerUnavailable("ModelScope as a source needs the package modelscope") from error
    try:
        return str(snapshot_download(model_id))
    except Exception as error:  # its errors have no common class
        raise RerankerUnavailable(f"ModelScope gave no {model_id}: {error}") from error


def load_checkpoint(location: str, *, source: Source, dtype: torch.dtype, device: torch.device) -> Checkpoint:
    """Reads a reranker. Raises RerankerUnavailable with what is wrong."""
    loaded = load_model(location, source=source, dtype=dtype, device=device, choose_class=_reranker_class)
    yes, no = single_token(loaded.tokenizer, YES), single_token(loaded.tokenizer, NO)
    head = head_rows(loaded.model, yes, no)
    return Checkpoint(loaded.name, loaded.revision, loaded.model.model, head, loaded.tokenizer)


def load_model(
    location: str,
    *,
    source: Source,
    dtype: torch.dtype,
    device: torch.device,
    choose_class: Callable[[Any], Any],
) -> Loaded:
    """Reads weights and tokenizer; `choose_class` says by the configuration what to make of them.

    Raises RerankerUnavailable with what is wrong.
    """
    found = find_model(location, source)
    try:
        config = transformers.AutoConfig.from_pretrained(found)
        refuse_other_architectures(config)
        tokenizer = transformers.AutoTokenizer.from_pretrained(found)
        model, report = choose_class(config).from_pretrained(
            found, config=config, dtype=dtype, output_loading_info=True
        )
        model = model.to(device).eval().requires_grad_(False)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise RerankerUnavailable(f"model {location} cannot be loaded: {error}") from error
    if missing := sorted(report["missing_keys"]):  # transformers would go on with random numbers in their place
        raise RerankerUnavailable(f"model {location} lacks weights: {', '.join(missing[:5])}")
    return Loaded(
        name=location.rstrip("/").rsplit("/", 1)[-1],
        revision=getattr(config, "_commit_hash", None) or folder_revision(Path(found)),
        model=model,
        tokenizer=tokenizer,
    )


def _reranker_class(config: Any) -> Any:
    if (config.architectures or [""])[0].endswith("ForSequenceClassification"):
        return transformers.Qwen3ForSequenceClassification
    return transformers.Qwen3ForCausalLM


def refuse_other_architectures(config: Any) -> None:
    """Raises RerankerUnavailable where the forward pass written here would not be the model's own."""
    rope = getattr(config, "rope_parameters", None) or {}
    problems = [
        problem
        for problem, present in (
            (f"model type {config.model_type}", config.model_type != "qwen3"),
            ("attention bias", getattr(config, "attention_bias", False)),
            ("sliding windows", "sliding_attention" in (getattr(config, "layer_types", None) or [])),
            (f"activation {getattr(config, 'hidden_act', '')}", getattr(config, "hidden_act", "silu") != "silu"),
            (f"rotary type {rope.get('rope_type')}", rope.get("rope_type", "default") not in STATIC_ROTARY),
        )
        if present
    ]
    if problems:
        raise RerankerUnavailable(f"not a Qwen3 model of the kind this engine runs: {', '.join(problems)}")


def single_token(tokenizer: Any, word: str) -> int:
    """The id of a word that must be one token. Raises RerankerUnavailable."""
    ids = tokenizer.encode(word, add_special_tokens=False)
    if len(ids) != 1 or tokenizer.decode(ids) != word:
        raise RerankerUnavailable(f"{word!r} is not a single token of this tokenizer")
    return int(ids[0])


def head_rows(model: Any, yes: int, no: int) -> Tensor:
    """Float32 rows [2, hidden] whose products with the final row differ by the log-odds. Raises RerankerUnavailable."""
    if hasattr(model, "lm_head"):
        rows: Tensor = model.lm_head.weight[[yes, no]].float()
        return rows
    weight: Tensor = model.score.weight.float()
    if weight.shape[0] == 1:  # a conversion stores yes − no as its one label
        return torch.cat((weight, torch.zeros_like(weight)))
    if weight.shape[0] == 2:  # labels are (no, yes)
        return weight.flip(0)
    raise RerankerUnavailable(f"a classifier with {weight.shape[0]} labels is no reranker")


def folder_revision(folder: Path) -> str:
    """16 hexadecimal digits from the configuration, the tokenizer and all weights: a second for each gigabyte."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in ("*.json", "*.safetensors", "*.bin") for path in folder.glob(pattern)):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def build_network(
    model: Any,
    *,
    make_linear: MakeLinear,
    attention: Attention,
    pointwise: Pointwise,
    max_length: int,
    wide_rows: int = WIDE_ROWS,
) -> Network:
    """The forward pass over the loaded weights. Takes the model apart layer by layer, so that memory never doubles."""
    config = model.config
    sizes = Sizes(config.num_attention_heads, config.num_key_value_heads, config.head_dim, config.rms_norm_eps)
    rotary = rotary_table(model, max_length)
    layers = []
    for number in range(len(model.layers)):
        layers.append(_take_layer(model.layers[number], make_linear))
        model.layers[number] = torch.nn.Identity()
    embedding, final_norm = model.embed_tokens.weight.detach(), model.norm.weight.detach()
    return Network(embedding, tuple(layers), final_norm, rotary, sizes, attention, pointwise, wide_rows)


def _take_layer(module: Any, make_linear: MakeLinear) -> Layer:
    attention, feed = module.self_attn, module.mlp
    key_value = torch.cat((attention.k_proj.weight, attention.v_proj.weight))
    return Layer(
        query=make_linear(attention.q_proj.weight),
        key_value=make_linear(key_value),
        output=make_linear(attention.o_proj.weight),
        gate=make_linear(feed.gate_proj.weight),
        up=make_linear(feed.up_proj.weight),
        down=make_linear(feed.down_proj.weight),
        input_norm=module.input_layernorm.weight,
        post_norm=module.post_attention_layernorm.weight,
        query_norm=attention.q_norm.weight.float() * attention.scaling,  # so that no score need be scaled
        key_norm=attention.k_norm.weight,
    )


def rotary_table(model: Any, max_length: int) -> RotaryTable:
    """Computed by the model's own rotary module, in float32, for all positions that can occur."""
    device = model.embed_tokens.weight.device
    positions = torch.arange(max_length, device=device).unsqueeze(0)
    cosine, sine = model.rotary_emb(torch.empty(0, device=device, dtype=torch.float32), positions)
    half = cosine.shape[-1] // 2  # both halves are equal
    return RotaryTable.from_cosine_sine(cosine[0, :, :half], sine[0, :, :half])
