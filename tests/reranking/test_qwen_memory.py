"""Long documents: as long as the model can read, and many of them without memory growing with their number."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from reranking.qwen import QwenReranker
from reranking.qwen_loading import LONGEST
from reranking.qwen_scoring import Pair
from reranking.types import Candidate, RankingRequest
from tests.reranking.models import save_model, tiny_config, train_tokenizer

QUERY = "楼上漏水物业不管咋办"
TEXT = "甲乙丙丁戊己庚辛壬癸"  # of the tiny vocabulary no tokens: each character is two or three
MIB = 2**20

MEASURE = """
import json, sys, torch
from reranking.qwen import QwenReranker
from reranking.types import Candidate, RankingRequest
from tests.benchmarks.rerank_memory import peak_beyond

folder, count, text, query = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
engine = QwenReranker(folder, device="cpu", dtype="float32", threads=1, max_length=4096)
candidates = [Candidate(str(number), "", f"{number}" + text * 220) for number in range(count)]
rankings = []
peak = peak_beyond(lambda: rankings.extend(engine.rank([RankingRequest(query, candidates)])), torch.device("cpu"))
print(json.dumps({"peak": peak, "truncated": sum(item.truncated for item in rankings[0].scored)}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tokenizer = train_tokenizer()
    small = {"num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 16}
    config = tiny_config(len(tokenizer), **small)
    return save_model(tmp_path_factory.mktemp("tiny"), config, tokenizer)


def test_prompt_of_32768_tokens_is_scored(folder):
    engine = QwenReranker(str(folder), device="cpu", dtype="float32", threads=1, max_length=LONGEST)
    longest = Candidate("longest", "", TEXT * 2000)
    almost = Candidate("almost", "", TEXT * 1999)
    pair = Pair(engine.instruction, QUERY, longest.text)
    assert len(engine._scorer.token_ids(pair)) == LONGEST == 32_768

    (together,) = engine.rank([RankingRequest(QUERY, [Candidate("short", "", TEXT), longest])])
    (cut_alike,) = engine.rank([RankingRequest(QUERY, [almost])])

    scores = {item.id: item.log_odds for item in together.scored}
    assert {item.id: item.truncated for item in together.scored} == {"short": False, "longest": True}
    assert cut_alike.scored[0].log_odds == pytest.approx(scores["longest"], abs=1e-4)
    assert scores["short"] != pytest.approx(scores["longest"], abs=1e-4)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_long_documents(folder):
    few, many = (_measure(folder, count) for count in (2, 12))
    assert many["truncated"] == 12  # of 4,096 tokens, all of them
    assert many["peak"] < few["peak"] + 48 * MIB
    assert many["peak"] < 256 * MIB


def _measure(folder, count: int) -> dict[str, int]:
    """Peak in bytes over the loaded model of ranking so many documents of 4,000 tokens, in a process of its own."""
    command = [sys.executable, "-c", MEASURE, str(folder), str(count), TEXT, QUERY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
