"""Every reranker keeps the contract: a known one, the lexical one, the model with random weights; here and served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from reranking.cache import MemoryScoreCache
from reranking.lexical import LexicalReranker
from reranking.lexical_model import LexicalModel
from reranking.qwen import QwenReranker
from reranking.remote import RemoteReranker
from reranking.remote_options import RemoteOptions
from reranking.types import Candidate, Ranking, RankingRequest, Reranker
from tests.reranking.contract import CANDIDATES, QUESTION, RerankerContract
from tests.reranking.models import save_model, tiny_config, train_tokenizer
from tests.reranking.serving import FakeReranker, serve


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = train_tokenizer()
    return save_model(tmp_path_factory.mktemp("model"), tiny_config(len(tokenizer)), tokenizer)


@pytest.fixture(scope="module")
def qwen(model_folder: Path) -> QwenReranker:
    return QwenReranker(str(model_folder), device="cpu", dtype="float32", compiled=False)


@pytest.fixture(scope="module")
def server_url(qwen: QwenReranker) -> Iterator[str]:
    with serve(qwen) as url:
        yield url


class TestFake(RerankerContract):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return FakeReranker()


class TestSlowFake(RerankerContract):
    has_deadline = True

    @pytest.fixture
    def reranker(self) -> Reranker:
        return FakeReranker(seconds_per_document=0.001)


LEXICAL_MODEL = LexicalModel({"sentence_bigrams": {"base": 4.0}, "fused_share": {"base": 2.5}})


class TestLexical(RerankerContract):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return LexicalReranker(LEXICAL_MODEL)


class TestLexicalBehindServer(RerankerContract):
    """What it looks at beside the text must travel too."""

    @pytest.fixture(scope="class")
    @classmethod
    def reranker(cls) -> Iterator[Reranker]:
        with serve(LexicalReranker(LEXICAL_MODEL)) as url:
            options = RemoteOptions(url, calibrated=False, send_evidence=True)
            with closing(RemoteReranker(options)) as remote:
                yield remote

    def test_ranks_as_it_does_here(self, reranker: Reranker) -> None:
        request = RankingRequest(QUESTION, CANDIDATES)

        assert self.score(reranker, request) == self.score(LexicalReranker(LEXICAL_MODEL), request)


class TestQwen(RerankerContract):
    has_deadline = True

    @pytest.fixture
    def reranker(self, qwen: QwenReranker) -> Reranker:
        return qwen


class TestQwenWithCache(RerankerContract):
    has_deadline = True

    @pytest.fixture(scope="class")
    @classmethod
    def reranker(cls, model_folder: Path) -> Reranker:
        return QwenReranker(str(model_folder), device="cpu", dtype="float32", compiled=False, cache=MemoryScoreCache())

    def test_repeated_question_is_answered_from_the_cache(self, reranker: Reranker) -> None:
        request = RankingRequest("公积金怎么提取才快", CANDIDATES)
        (fresh,) = reranker.rank([request])
        (again,) = reranker.rank([request])

        assert not any(item.cached for item in fresh.scored)
        assert all(item.cached for item in again.scored)
        assert [(item.id, item.log_odds) for item in again.scored] == [
            (item.id, item.log_odds) for item in fresh.scored
        ]


class TestQwenBehindServer(RerankerContract):
    has_deadline = True

    @pytest.fixture
    def reranker(self, server_url: str) -> Iterator[Reranker]:
        with closing(RemoteReranker(RemoteOptions(server_url))) as remote:
            yield remote


@pytest.mark.parametrize("api", ["hotline", "tei", "v1"])
def test_model_behind_a_server_scores_as_it_does_here(qwen: QwenReranker, server_url: str, api: str) -> None:
    plain = [Candidate(candidate.id, "", candidate.text) for candidate in CANDIDATES]
    request = RankingRequest(QUESTION, plain, "找出写明期限的条文")
    template = None if api == "hotline" else "host"
    options = RemoteOptions(server_url, api=api, template=template)  # type: ignore[arg-type]

    with closing(RemoteReranker(options)) as remote:
        (there,) = remote.rank([request])

    (here,) = qwen.rank([request])
    assert read_scores(there) == pytest.approx(read_scores(here), abs=1e-4)
    assert there.info.revision == here.info.revision or api == "tei"


def test_every_shape_of_the_server_gives_the_models_own_scores(qwen: QwenReranker, server_url: str) -> None:
    texts = [candidate.text for candidate in CANDIDATES]
    expected = qwen.score_pairs([(QUESTION, text) for text in texts])

    with httpx.Client(base_url=server_url) as client:
        tei = client.post("/rerank", json={"query": QUESTION, "texts": texts, "raw_scores": True}).json()
        v1 = client.post("/v1/rerank", json={"query": QUESTION, "documents": texts}).json()["results"]
        vllm = client.post("/v1/score", json={"text_1": QUESTION, "text_2": texts, "use_activation": False}).json()

    by_tei = {item["index"]: item["score"] for item in tei}
    by_v1 = {item["index"]: item["log_odds"] for item in v1}
    assert [by_tei[index] for index in range(len(texts))] == pytest.approx(expected, abs=1e-4)
    assert [by_v1[index] for index in range(len(texts))] == pytest.approx(expected, abs=1e-4)
    assert [item["score"] for item in vllm["data"]] == pytest.approx(expected, abs=1e-4)


def read_scores(ranking: Ranking) -> dict[str, float]:
    return {item.id: item.log_odds for item in ranking.scored}
