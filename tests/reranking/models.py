"""Qwen3 models with random weights and a real tokenizer, as folders; and the published computation by transformers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex as TokenRegex
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, Qwen3ForSequenceClassification

# How Qwen's tokenizer cuts text before it looks for tokens.
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
THINK_TOKENS = ("<think>", "</think>")

TRAINING_TEXT = (
    "根据市民向政务服务热线提出的问题，找出能够直接回答该问题的政策文件段落。",
    "住宅共用部位渗漏的，物业服务企业应当自接到报修之日起两个工作日内到场维修；费用从住宅专项维修资金中列支。",
    "申请居住证应当提交身份证、照片和居住地住址证明。云岚市人民政府办公室，云府办规〔2025〕8号，第三章第十二条。",
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided yes no system user",
    "Given a web search query, retrieve relevant passages that answer the query assistant Note that the answer can",
)

REFERENCE_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
REFERENCE_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
REFERENCE_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"


def write_prompt(instruction: str, query: str, document: str) -> str:
    """The published user turn."""
    return f"<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"


def train_tokenizer(texts: Iterable[str] = TRAINING_TEXT, vocabulary: int = 1200) -> PreTrainedTokenizerFast:
    """Byte-level BPE that normalises and splits as Qwen's does, with `yes` and `no` as single tokens."""
    tokenizer = Tokenizer(models.BPE())
    set_qwen_pipeline(tokenizer)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *["yes no"] * 50], trainer)
    return wrap_tokenizer(tokenizer)


def set_qwen_pipeline(tokenizer: Tokenizer) -> None:
    """Normaliser, splitting and decoder as in Qwen's tokenizer."""
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(TokenRegex(QWEN_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()


def wrap_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Adds Qwen's special tokens after the vocabulary, and the settings of its tokenizer_config.json."""
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.add_tokens(list(THINK_TOKENS))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left"
    )


def tiny_config(vocabulary: int, **changes: Any) -> Qwen3Config:
    """The architecture, small: two query heads to each key-value head, head size not hidden / heads."""
    settings: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 40_960,
        "rope_theta": 1_000_000.0,
        "tie_word_embeddings": True,
        "initializer_range": 0.1,
    }
    return Qwen3Config(**(settings | changes))


def true_config(vocabulary: int = 151_669, layers: int = 28) -> Qwen3Config:
    """Qwen3-Reranker-0.6B's own shape."""
    return Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=40_960,
        rope_theta=1_000_000.0,
        tie_word_embeddings=True,
    )


def save_model(
    folder: Path,
    config: Qwen3Config,
    tokenizer: PreTrainedTokenizerFast,
    *,
    dtype: torch.dtype = torch.float32,
    seed: int = 1,
) -> Path:
    """A folder as a hub download would leave it. Norm weights are random too, or a wrong one would not show."""
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(config)
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_as_classifier(source: Path, folder: Path, *, labels: int = 1) -> Path:
    """The same model converted to a sequence classifier: one label yes − no, or two labels (no, yes)."""
    model, tokenizer = Qwen3ForCausalLM.from_pretrained(source), PreTrainedTokenizerFast.from_pretrained(source)
    yes, no = (tokenizer.encode(word, add_special_tokens=False)[0] for word in ("yes", "no"))
    rows = model.lm_head.weight.detach()[[no, yes]]
    config = Qwen3Config.from_pretrained(source, num_labels=labels, pad_token_id=tokenizer.pad_token_id)
    classifier = Qwen3ForSequenceClassification(config)
    classifier.model.load_state_dict(model.model.state_dict())
    classifier.score.weight.data = rows if labels == 2 else (rows[1:] - rows[:1])
    classifier.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class ReferenceReranker:
    """The model card's computation: left padding, truncation before the suffix, all logits, last position."""

    def __init__(
        self, folder: Path, *, dtype: torch.dtype = torch.float32, max_length: int = 8192, device: str = "cpu"
    ) -> None:
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left")
        self.model = Qwen3ForCausalLM.from_pretrained(folder, dtype=dtype).eval().to(device)
        self.max_length = max_length
        self.prefix = self.tokenizer.encode(REFERENCE_PREFIX, add_special_tokens=False)
        self.suffix = self.tokenizer.encode(REFERENCE_SUFFIX, add_special_tokens=False)
        self.yes = self.tokenizer.convert_tokens_to_ids("yes")
        self.no = self.tokenizer.convert_tokens_to_ids("no")

    def token_ids(self, query: str, document: str, instruction: str = REFERENCE_INSTRUCTION) -> list[int]:
        text = write_prompt(instruction, query, document)
        body = self.tokenizer(
            text,
            add_special_tokens=False,
            truncation=True,
            max_length=self.max_length - len(self.prefix) - len(self.suffix),
        )["input_ids"]
        return [*self.prefix, *body, *self.suffix]

    @torch.inference_mode()
    def score_ids(self, batch: Sequence[Sequence[int]]) -> list[float]:
        padded = self.tokenizer.pad({"input_ids": [list(ids) for ids in batch]}, padding=True, return_tensors="pt")
        padded = padded.to(self.model.device)
        logits = (
            self.model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"]).logits[:, -1].float()
        )
        return (logits[:, self.yes] - logits[:, self.no]).tolist()

    def score(
        self, pairs: Sequence[tuple[str, str]], instruction: str = REFERENCE_INSTRUCTION, batch_size: int = 8
    ) -> list[float]:
        """Log-odds of (query, document) pairs."""
        ids = [self.token_ids(query, document, instruction) for query, document in pairs]
        batches = [ids[start : start + batch_size] for start in range(0, len(ids), batch_size)]
        return [value for batch in batches for value in self.score_ids(batch)]
