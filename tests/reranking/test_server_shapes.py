"""The shapes that the reranking server speaks, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from reranking.server_app import ServerOptions
from reranking.types import RerankerInfo, sigmoid
from tests.reranking.serving import (
    FAKE_INFO,
    LOG_ODDS,
    ORDER,
    QUERY,
    TEXTS,
    FakeReranker,
    make_documents,
    read_error,
    serve,
)


@pytest.fixture
def engine() -> FakeReranker:
    return FakeReranker(truncate_after=1000)


@pytest.fixture
def client(engine: FakeReranker) -> Iterator[httpx.Client]:
    with serve(engine) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client
        engine.gate.set()


class TestHotlineShape:
    def test_ids_come_back_best_first(self, client: httpx.Client) -> None:
        answer = client.post("/rerank", json={"query": QUERY, "documents": make_documents()}).json()

        assert answer["reranked_ids"] == [f"d{index}" for index in ORDER]
        assert answer["log_odds"] == pytest.approx([LOG_ODDS[index] for index in ORDER])
        assert answer["scores"] == pytest.approx([sigmoid(LOG_ODDS[index]) for index in ORDER])
        assert answer["unscored_ids"] == []
        assert answer["notices"] == []
        assert answer["reranker"]["name"] == "fake"
        assert answer["reranker"]["revision"] == "fake-1"
        assert answer["reranker"]["calibrated"] is True

    def test_whole_candidate_and_instruction_reach_the_engine(self, client: httpx.Client, engine: FakeReranker) -> None:
        document = {
            "id": "a",
            "title": "办法",
            "content": "正文",
            "document_number": "云岚府规〔2025〕8号",
            "passages": ["一", "二"],
            "features": {"bm25": 7.5},
            "document_text": "全文",
        }

        client.post("/rerank", json={"query": QUERY, "documents": [document], "instruction": "找条文"})

        request = engine.calls[0][0]
        assert request.instruction == "找条文"
        (candidate,) = request.candidates
        assert (candidate.title, candidate.text, candidate.document_number) == ("办法", "正文", "云岚府规〔2025〕8号")
        assert candidate.passages == ("一", "二")
        assert candidate.features == {"bm25": 7.5}
        assert candidate.document_text == "全文"

    def test_what_is_to_be_scored_first_reaches_the_engine(self, client: httpx.Client, engine: FakeReranker) -> None:
        client.post("/rerank", json={"query": QUERY, "documents": make_documents(), "prior": [0.1, 3, -2.5, 0]})

        assert engine.calls[0][0].scoring_order() == [1, 0, 3, 2]

    @pytest.mark.parametrize("prior", [[1.0], [1.0, 2.0, 3.0, "x"]])
    def test_prior_that_does_not_fit_is_refused(self, client: httpx.Client, prior: list[Any]) -> None:
        response = client.post("/rerank", json={"query": QUERY, "documents": make_documents(), "prior": prior})

        assert read_error(response) == (422, "invalid_request")

    def test_integers_as_ids_come_back_as_integers(self, client: httpx.Client) -> None:
        documents = [{"id": number, "content": text} for number, text in enumerate(TEXTS)]

        answer = client.post("/rerank", json={"query": QUERY, "documents": documents}).json()

        assert answer["reranked_ids"] == ORDER

    def test_ids_that_read_alike_are_refused(self, client: httpx.Client) -> None:
        documents = [{"id": 1, "content": "漏"}, {"id": "1", "content": "水"}]

        response = client.post("/rerank", json={"query": QUERY, "documents": documents})

        assert read_error(response) == (422, "invalid_request")

    def test_deadline_leaves_the_rest_below_and_says_so(self) -> None:
        with serve(FakeReranker(seconds_per_document=0.1)) as url:
            answer = httpx.post(
                f"{url}/rerank",
                json={"query": QUERY, "documents": make_documents(), "latency_budget": 0.25},
                timeout=20,
            ).json()

        assert answer["unscored_ids"]
        assert answer["reranked_ids"][-len(answer["unscored_ids"]) :] == answer["unscored_ids"]
        assert answer["scores"][-1] is None
        assert answer["log_odds"][-1] is None
        assert answer["notices"] == ["partial_rerank"]

    def test_truncated_documents_are_named(self, client: httpx.Client) -> None:
        documents = [{"id": "long", "content": "漏" * 1001}, {"id": "short", "content": "漏"}]

        assert client.post("/rerank", json={"query": QUERY, "documents": documents}).json()["truncated_ids"] == ["long"]

    def test_no_documents_give_an_empty_ranking(self, client: httpx.Client) -> None:
        answer = client.post("/rerank", json={"query": QUERY, "documents": []}).json()

        assert answer["reranked_ids"] == []
        assert answer["scores"] == []

    def test_equal_ids_are_refused(self, client: httpx.Client) -> None:
        documents = [{"id": "a", "content": "一"}, {"id": "a", "content": "二"}]

        response = client.post("/rerank", json={"query": QUERY, "documents": documents})

        assert read_error(response) == (422, "invalid_request")


class Lesser(FakeReranker):
    """As a lexical reranker that stands in for the model: its scores have no zero."""

    @property
    def info(self) -> RerankerInfo:
        return replace(FAKE_INFO, calibrated=False)


class TestScoresWithoutAZero:
    BODIES = (("/rerank", {"query": QUERY, "texts": TEXTS}), ("/v1/score", {"text_1": QUERY, "text_2": TEXTS}))

    @pytest.mark.parametrize(("path", "body"), BODIES)
    def test_are_not_given_out_where_the_answer_cannot_say_so(self, path: str, body: dict[str, Any]) -> None:
        with serve(Lesser()) as url:
            response = httpx.post(f"{url}{path}", json=body, timeout=20)

        assert read_error(response) == (503, "reranker_unavailable")
        assert int(response.headers["Retry-After"]) > 0

    @pytest.mark.parametrize(("path", "body"), BODIES)
    def test_are_given_out_when_the_operator_allows_it(self, path: str, body: dict[str, Any]) -> None:
        with serve(Lesser(), ServerOptions(lexical_ok=True)) as url:
            assert httpx.post(f"{url}{path}", json=body, timeout=20).status_code == 200

    @pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
    def test_are_given_out_where_the_answer_says_who_ranked(self, path: str) -> None:
        with serve(Lesser()) as url:
            body = {"query": QUERY, "documents": make_documents()}
            if path == "/v1/rerank":
                body["documents"] = TEXTS
            response = httpx.post(f"{url}{path}", json=body, timeout=20)

        assert response.status_code == 200
        assert response.json()["reranker"]["calibrated"] is False


class TestTeiShape:
    def test_list_of_index_and_score_best_first(self, client: httpx.Client) -> None:
        answer = client.post("/rerank", json={"query": QUERY, "texts": TEXTS}).json()

        assert [item["index"] for item in answer] == ORDER
        assert [item["score"] for item in answer] == pytest.approx([sigmoid(LOG_ODDS[index]) for index in ORDER])
        assert all(set(item) == {"index", "score"} for item in answer)

    def test_raw_scores_are_log_odds(self, client: httpx.Client) -> None:
        answer = client.post("/rerank", json={"query": QUERY, "texts": TEXTS, "raw_scores": True}).json()

        assert [item["score"] for item in answer] == pytest.approx([LOG_ODDS[index] for index in ORDER])

    def test_text_comes_back_when_asked_for(self, client: httpx.Client) -> None:
        answer = client.post("/rerank", json={"query": QUERY, "texts": TEXTS, "return_text": True}).json()

        assert [item["text"] for item in answer] == [TEXTS[index] for index in ORDER]

    def test_cutting_is_refused_where_it_is_not_allowed(self, client: httpx.Client) -> None:
        body = {"query": QUERY, "texts": ["漏" * 1001], "truncate": False}

        assert read_error(client.post("/rerank", json=body)) == (413, "document_too_long")
        assert client.post("/rerank", json={**body, "truncate": True}).status_code == 200

    def test_instruction_is_taken(self, client: httpx.Client, engine: FakeReranker) -> None:
        client.post("/rerank", json={"query": QUERY, "texts": TEXTS, "instruction": "找条文"})

        assert engine.calls[0][0].instruction == "找条文"


class TestV1Rerank:
    @pytest.mark.parametrize("path", ["/v1/rerank", "/rerank"])
    def test_results_best_first(self, client: httpx.Client, path: str) -> None:
        answer = client.post(path, json={"model": "any", "query": QUERY, "documents": TEXTS}).json()

        assert answer["id"].startswith("rerank-")
        assert answer["model"] == "fake"
        assert [item["index"] for item in answer["results"]] == ORDER
        assert [item["document"] for item in answer["results"]] == [{"text": TEXTS[index]} for index in ORDER]
        assert [item["relevance_score"] for item in answer["results"]] == pytest.approx(
            [sigmoid(LOG_ODDS[index]) for index in ORDER]
        )
        assert answer["usage"]["total_tokens"] > 0

    def test_top_n_cuts_the_results(self, client: httpx.Client) -> None:
        body = {"query": QUERY, "documents": TEXTS}

        assert len(client.post("/v1/rerank", json={**body, "top_n": 2}).json()["results"]) == 2
        assert len(client.post("/v1/rerank", json={**body, "top_n": 0}).json()["results"]) == 4
        assert len(client.post("/v1/rerank", json={**body, "top_n": 99}).json()["results"]) == 4

    def test_documents_are_left_out_when_not_wanted(self, client: httpx.Client) -> None:
        answer = client.post("/v1/rerank", json={"query": QUERY, "documents": TEXTS, "return_documents": False}).json()

        assert all("document" not in item for item in answer["results"])

    def test_documents_may_be_objects(self, client: httpx.Client, engine: FakeReranker) -> None:
        documents = [{"text": "漏水"}, {"text": "停车", "title": "停车办法"}, "楼上"]

        answer = client.post("/v1/rerank", json={"query": QUERY, "documents": documents}).json()

        assert {item["index"]: item["document"]["text"] for item in answer["results"]} == {
            0: "漏水",
            1: "停车",
            2: "楼上",
        }
        assert engine.calls[0][0].candidates[1].title == "停车办法"

    def test_raw_scores_the_way_vllm_asks_for_them(self, client: httpx.Client) -> None:
        answer = client.post(
            "/v1/rerank", json={"query": QUERY, "documents": TEXTS, "use_activation": False, "top_n": 1}
        ).json()

        assert answer["results"][0]["relevance_score"] == pytest.approx(LOG_ODDS[1])

    def test_negative_top_n_is_refused(self, client: httpx.Client) -> None:
        response = client.post("/v1/rerank", json={"query": QUERY, "documents": TEXTS, "top_n": -1})

        assert read_error(response) == (422, "invalid_request")


class TestV1Score:
    @pytest.mark.parametrize("names", [("text_1", "text_2"), ("queries", "documents")])
    def test_one_query_against_many_in_their_order(self, client: httpx.Client, names: tuple[str, str]) -> None:
        answer = client.post("/v1/score", json={names[0]: QUERY, names[1]: TEXTS}).json()

        assert answer["object"] == "list"
        assert [item["index"] for item in answer["data"]] == [0, 1, 2, 3]
        assert {item["object"] for item in answer["data"]} == {"score"}
        assert [item["score"] for item in answer["data"]] == pytest.approx([sigmoid(LOG_ODDS[i]) for i in range(4)])

    def test_pairs(self, client: httpx.Client) -> None:
        body = {"text_1": ["漏水", QUERY], "text_2": ["漏水", TEXTS[1]], "use_activation": False}

        answer = client.post("/v1/score", json=body).json()

        assert [item["score"] for item in answer["data"]] == pytest.approx([2 - 0.02 - 3.5, LOG_ODDS[1]])

    def test_single_texts(self, client: httpx.Client) -> None:
        answer = client.post("/v1/score", json={"text_1": QUERY, "text_2": TEXTS[1]}).json()

        assert [item["score"] for item in answer["data"]] == pytest.approx([sigmoid(LOG_ODDS[1])])

    def test_nothing_to_score(self, client: httpx.Client) -> None:
        assert client.post("/v1/score", json={"text_1": QUERY, "text_2": []}).json()["data"] == []
        assert client.post("/v1/score", json={"text_1": [], "text_2": []}).json()["data"] == []

    @pytest.mark.parametrize(
        "body",
        [{"text_1": ["一", "二"], "text_2": ["三", "四", "五"]}, {"text_1": QUERY}, {"text_1": 3, "text_2": 4}, []],
    )
    def test_what_does_not_pair_up_is_refused(self, client: httpx.Client, body: Any) -> None:
        assert read_error(client.post("/v1/score", json=body)) == (422, "invalid_request")
