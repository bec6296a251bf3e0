"""What the engine does around the scores: loading, deadlines, memory, cache, notices."""

from __future__ import annotations

import copy
import json
import logging
import shutil
import threading
import time
import weakref
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch

from reranking import qwen_device, qwen_scoring
from reranking.cache import MemoryScoreCache, NullScoreCache, ScoreCache, SharedScores
from reranking.pace import Pace
from reranking.prompts import DEFAULT_INSTRUCTION
from reranking.qwen import QwenReranker
from reranking.qwen_loading import folder_revision
from reranking.qwen_memory import GOOD_BATCHES
from reranking.types import Candidate, NonFiniteScore, RankingRequest, RerankerUnavailable
from tests.reranking.contract import RerankerContract
from tests.reranking.models import ReferenceReranker, save_model, tiny_config, train_tokenizer

QUERY = "楼上漏水物业不管咋办"
CANDIDATES = tuple(
    Candidate(str(number), f"第{number}号办法", text)
    for number, text in enumerate(
        (
            "共用部位渗漏由物业维修。",
            "居住证应当提交身份证。",
            "停车收费标准另行规定。",
            "维修资金用于电梯。",
            "公交票价两元。",
        )
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tokenizer = train_tokenizer()
    return save_model(tmp_path_factory.mktemp("tiny"), tiny_config(len(tokenizer)), tokenizer)


@pytest.fixture(scope="module")
def loaded(folder):
    return load(folder)


@pytest.fixture
def engine(loaded):
    return copy_engine(loaded)


@pytest.fixture
def caching(loaded):
    return copy_engine(loaded, MemoryScoreCache())


def load(folder, **options) -> QwenReranker:
    return QwenReranker(str(folder), **({"device": "cpu", "dtype": "float32", "threads": 1} | options))


def copy_engine(engine: QwenReranker, cache: ScoreCache | None = None) -> QwenReranker:
    """The same weights with state of its own, for tests that tamper with it."""
    twin = copy.copy(engine)
    twin._scorer = copy.copy(engine._scorer)
    twin._scorer._roots = OrderedDict()
    twin._scorer.batches = copy.copy(engine._scorer.batches)
    twin._scorer.pace = copy.deepcopy(engine._scorer.pace)
    twin._shared = SharedScores(cache or NullScoreCache())
    return twin


def log_odds(ranking) -> dict[str, float]:
    return {item.id: item.log_odds for item in ranking.scored}


def count_runs(engine) -> list[int]:
    """Documents of each pass of the network from now on."""
    network, runs = engine._scorer._network, []

    class Counting:
        def run(self, pack):
            runs.append(len(pack.documents))
            return network.run(pack)

    engine._scorer._network = Counting()
    return runs


class TestContract(RerankerContract):
    has_deadline = True

    @pytest.fixture
    def reranker(self, engine):
        return engine


class TestRanking:
    def test_scores_are_those_of_title_and_text(self, engine, folder):
        (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES)])
        pairs = [(QUERY, f"{candidate.title}\n{candidate.text}") for candidate in CANDIDATES]
        expected = dict(zip("01234", ReferenceReranker(folder).score(pairs), strict=True))
        assert log_odds(ranking) == pytest.approx(expected, abs=1e-4)

    def test_request_instruction_wins_over_the_engines(self, folder, engine):
        special = "找出法律条文"
        (mine,) = engine.rank([RankingRequest(QUERY, CANDIDATES, instruction=special)])
        (default,) = load(folder, instruction=special).rank([RankingRequest(QUERY, CANDIDATES)])
        assert log_odds(mine) == pytest.approx(log_odds(default), abs=1e-5)
        assert log_odds(mine) != log_odds(engine.rank([RankingRequest(QUERY, CANDIDATES)])[0])

    def test_equal_documents_are_computed_once(self, engine):
        runs = count_runs(engine)
        same = [Candidate(str(number), "题", "同一段") for number in range(5)]
        (ranking,) = engine.rank([RankingRequest(QUERY, same)])
        assert sum(runs) == 1
        assert len(set(log_odds(ranking).values())) == 1

    def test_waiting_requests_share_batches(self, engine):
        runs = count_runs(engine)
        engine.rank([RankingRequest(f"问题{number}", CANDIDATES[:2]) for number in range(4)])
        assert runs == [8]

    def test_system_and_instruction_are_computed_once_for_all_requests(self, engine):
        engine.rank([RankingRequest("甲", CANDIDATES[:1])])
        (root,) = engine._scorer._roots.values()
        keys = root.layers[0][0]
        engine.rank([RankingRequest("乙", CANDIDATES[:1])])
        assert next(iter(engine._scorer._roots.values())).layers[0][0] is keys

    def test_kept_instruction_holds_no_more_than_its_own_keys_and_values(self, engine):
        engine.rank([RankingRequest(QUERY, CANDIDATES, instruction="另一项任务")])
        root = engine._scorer._roots["<Instruct>: 另一项任务\n<Query>:"]
        for layer in root.layers:
            for tensor in layer:
                assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()

    def test_few_heights_reach_the_products_of_a_processor_with_amx(self, engine, monkeypatch):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
        heights, network = [], engine._scorer._network

        def note_height(rows, *others):
            heights.append(len(rows))
            return network.pointwise.norm(rows, *others)

        engine._scorer._network = replace(network, pointwise=replace(network.pointwise, norm=note_height))
        for count in range(1, 6):
            engine.rank([RankingRequest(f"第{count}问" * count, CANDIDATES[:count])])
        whole = [height for height in heights if height > len(CANDIDATES)]  # not the last tokens alone
        assert len(whole) >= 5
        assert all(height % 16 == 0 for height in whole)

    @pytest.mark.parametrize("budget", [None, 60.0])
    def test_keys_and_values_of_queries_do_not_pile_up(self, engine, monkeypatch, budget):
        monkeypatch.setattr(qwen_scoring, "KEPT_PREFIX_TOKENS", 1000)
        engine._scorer.batches.tokens = 1000
        kept = watch_prefixes(engine)
        requests = [
            RankingRequest(f"{number}" + "漏水" * 100, CANDIDATES, latency_budget=budget) for number in range(9)
        ]
        rankings = engine.rank(requests)
        assert all(len(ranking.scored) == 5 for ranking in rankings)
        assert len(kept) > 8
        assert 0 < max(kept) < 1500

    def test_query_of_one_document_is_not_kept(self, engine):
        kept = watch_prefixes(engine)
        engine.rank([RankingRequest(f"问题{number}", CANDIDATES[:1]) for number in range(5)])
        assert max(kept) == 0

    def test_instructions_that_are_kept_have_their_bound(self, engine, monkeypatch):
        monkeypatch.setattr(qwen_scoring, "KEPT_ROOT_TOKENS", 500)
        for number in range(6):
            engine.rank([RankingRequest(QUERY, CANDIDATES[:1], instruction=f"{number}" + "找出条文" * 20)])
        assert sum(root.length for root in engine._scorer._roots.values()) <= 500
        assert engine._scorer._roots

    def test_truncation_is_reported(self, folder):
        engine = load(folder, max_length=300)
        long = Candidate("long", "题", CANDIDATES[0].text * 100)
        (ranking,) = engine.rank([RankingRequest(QUERY, [*CANDIDATES[:1], long])])
        assert {item.id: item.truncated for item in ranking.scored} == {"0": False, "long": True}
        assert ranking.notices == ("truncated",)

    def test_truncation_of_a_cached_score_is_reported(self, folder):
        engine = load(folder, max_length=300, cache=MemoryScoreCache())
        request = RankingRequest(QUERY, [Candidate("long", "题", CANDIDATES[0].text * 100)])
        engine.rank([request])
        (ranking,) = engine.rank([request])
        assert ranking.scored[0].cached
        assert ranking.scored[0].truncated

    def test_cached_score_of_ordinary_length_is_not_tokenised_again(self, folder, monkeypatch):
        engine = load(folder, cache=MemoryScoreCache())
        request = RankingRequest(QUERY, [Candidate("0", "题", CANDIDATES[0].text * 150)])
        engine.rank([request])
        monkeypatch.setattr(engine._scorer, "_encode", None)
        (ranking,) = engine.rank([request])
        assert (ranking.scored[0].cached, ranking.scored[0].truncated) == (True, False)

    def test_query_that_leaves_no_room_scores_nothing_and_says_so(self, folder):
        (long, fine) = load(folder, max_length=200).rank(
            [RankingRequest("漏" * 1000, CANDIDATES), RankingRequest("漏", CANDIDATES[:1])]
        )
        assert long.unscored == tuple("01234")
        assert long.notices == ("query_too_long",)
        assert fine.ids == ("0",)

    def test_trimming_is_off_by_default_and_said_when_on(self, folder, engine):
        long = [Candidate("long", "题", "无关的一句话。" * 60 + "漏水由物业维修。" + "无关的一句话。" * 60)]
        whole, trimmed = (
            engine.rank([RankingRequest(QUERY, long)])[0],
            load(folder, trim=40).rank([RankingRequest(QUERY, long)])[0],
        )
        assert whole.notices == ()
        assert trimmed.notices == ("trimmed",)
        assert log_odds(whole) != log_odds(trimmed)


def watch_prefixes(engine) -> list[int]:
    """Tokens of queries whose keys and values are held at the end of each pass from now on."""
    network, kept, seen = engine._scorer._network, [], set()

    class Watching:
        def run(self, pack):
            rows = network.run(pack)
            seen.update(document.prefix for document in pack.documents)
            kept.append(sum(prefix.length for prefix in seen if prefix.parent is not None and prefix.layers))
            return rows

    engine._scorer._network = Watching()
    return kept


class TestDeadline:
    def test_one_request_does_not_stop_another_with_the_same_question(self, engine):
        engine._scorer.pace = Pace(0.001)
        endless = Candidate("endless", "", "漏水" * 3000)
        (stopped, finished) = engine.rank(
            [
                RankingRequest(QUERY, [endless, *CANDIDATES[:2]], latency_budget=3),
                RankingRequest(QUERY, CANDIDATES[2:], latency_budget=3),
            ]
        )
        assert stopped.unscored == ("endless", "0", "1")
        assert len(finished.scored) == 3

    def test_work_without_a_deadline_lets_hurried_work_in(self, engine):
        engine._scorer.batches.tokens = 1
        slow_down(engine, 0.2)
        patient = threading.Thread(target=engine.rank, args=([RankingRequest("不急", CANDIDATES * 4)],))
        patient.start()
        time.sleep(0.1)
        engine._scorer.pace = Pace(1e-9)
        (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES[:1], latency_budget=0.8)])
        assert patient.is_alive()
        assert len(ranking.scored) == 1
        patient.join(20)

    def test_what_comes_first_is_scored_first(self, engine):
        engine._scorer.batches.tokens = 60
        engine._scorer.pace = Pace(1e-9)
        slow_down(engine, 0.05)
        (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES * 4, latency_budget=0.12)])
        scored = {item.id for item in ranking.scored}
        assert ranking.is_partial
        assert "partial_rerank" in ranking.notices
        assert scored == set("01234"[: len(scored)])

    def test_likelier_candidates_are_scored_first(self, engine):
        engine._scorer.batches.tokens = 60
        engine._scorer.pace = Pace(1e-9)
        slow_down(engine, 0.05)
        prior = [0.1, 0.5, 0.3, 0.9, 0.2]
        (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES, latency_budget=0.12, prior=prior)])
        scored = {item.id for item in ranking.scored}
        assert scored == set(["3", "1", "2", "4", "0"][: len(scored)])
        assert 1 <= len(scored) < 5
        assert list(ranking.unscored) == sorted(ranking.unscored)

    def test_prior_changes_no_score(self, engine):
        plain, ordered = (
            engine.rank([RankingRequest(QUERY, CANDIDATES, prior=prior)])[0] for prior in ((), (0, 1, 2, 3, 4))
        )
        assert log_odds(ordered) == pytest.approx(log_odds(plain), abs=1e-5)
        assert ordered.ids == plain.ids

    def test_every_waiting_request_gets_its_first_candidates(self, engine):
        engine._scorer.batches.tokens = 100
        slow_down(engine, 0.05)
        engine._scorer.pace = Pace(1e-9)
        requests = [RankingRequest(f"问题{number}", CANDIDATES, latency_budget=0.2) for number in range(2)]
        counts = [len(ranking.scored) for ranking in engine.rank(requests)]
        assert min(counts) >= 1
        assert max(counts) - min(counts) <= 1

    def test_pace_that_leaves_no_time_is_not_believed_for_ever(self, engine):
        engine._scorer.pace = Pace(1.0)
        requests = [RankingRequest(QUERY, CANDIDATES[:1], latency_budget=0.3)]
        assert not engine.rank(requests)[0].scored
        assert any(engine.rank(requests)[0].scored for _ in range(100))

    def test_request_without_deadline_is_finished_beside_one_with(self, engine):
        late, patient = engine.rank(
            [RankingRequest("甲", CANDIDATES, latency_budget=1e-9), RankingRequest("乙", CANDIDATES)]
        )
        assert late.unscored == tuple("01234")
        assert len(patient.scored) == 5

    def test_seconds_do_not_wait_for_minutes(self, engine):
        engine._scorer.batches.tokens = 1
        engine._scorer.pace = Pace(1e-9)
        slow_down(engine, 0.2)
        minutes = threading.Thread(
            target=engine.rank, args=([RankingRequest("不急", CANDIDATES * 4, latency_budget=60)],)
        )
        minutes.start()
        time.sleep(0.1)
        (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES[:1], latency_budget=2)])
        assert minutes.is_alive()
        assert len(ranking.scored) == 1
        minutes.join(20)

    def test_busy_engine_keeps_the_deadline(self, engine):
        with engine._scorer._turns.line_up(0.0) as place, place.take():
            started = time.monotonic()
            (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES, latency_budget=0.1)])
        assert time.monotonic() - started < 2
        assert ranking.unscored == tuple("01234")


def slow_down(engine, seconds: float) -> None:
    network = engine._scorer._network

    class Slow:
        def run(self, pack):
            time.sleep(seconds)
            return network.run(pack)

    engine._scorer._network = Slow()


class TestMemory:
    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory"),
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            MemoryError(),
        ],
    )
    def test_batch_is_halved_until_it_fits(self, engine, error):
        expected = log_odds(engine.rank([RankingRequest(QUERY, CANDIDATES)])[0])
        fail_above(engine, 2, error)
        (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES)])
        assert log_odds(ranking) == pytest.approx(expected, abs=1e-5)
        assert ranking.notices == ("batch_halved",)

    def test_later_batches_stay_small(self, engine):
        before = engine._scorer.batches.tokens
        fail_above(engine, 2, MemoryError())
        engine.rank([RankingRequest(QUERY, CANDIDATES)])
        assert engine._scorer.batches.tokens < before

    def test_batches_grow_again_when_memory_lasts(self, engine):
        engine._scorer.batches.tokens = 16
        engine.rank([RankingRequest(str(number), CANDIDATES[:1]) for number in range(GOOD_BATCHES - 1)])
        assert engine.status()["batch_tokens"] == 16
        engine.rank([RankingRequest(QUERY, CANDIDATES[:2])])
        assert engine.status()["batch_tokens"] == 32

    def test_batches_never_grow_beyond_what_was_set(self, engine):
        most = engine._scorer.batches.tokens
        engine._scorer.batches.tokens = most - 1
        engine._scorer.batches._good = GOOD_BATCHES - 1
        engine.rank([RankingRequest(QUERY, CANDIDATES[:1])])
        assert engine._scorer.batches.tokens == most

    def test_memory_of_the_failed_batch_is_given_back_before_the_halves_run(self, engine):
        network, held = engine._scorer._network, []

        class Heavy:
            def run(self, pack):
                assert not any(reference() is not None for reference in held)
                tensor = torch.empty(10)
                held.append(weakref.ref(tensor))
                if len(pack.documents) > 2:
                    raise MemoryError
                return network.run(pack)

        engine._scorer._network = Heavy()
        (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES)])
        assert len(ranking.scored) == 5
        assert len(held) > 2

    def test_document_that_never_fits_is_left_unscored(self, engine):
        fail_above(engine, 0, MemoryError())
        (ranking,) = engine.rank([RankingRequest(QUERY, CANDIDATES[:2])])
        assert ranking.unscored == ("0", "1")
        assert ranking.notices == ("batch_halved", "out_of_memory")

    def test_other_errors_are_not_taken_for_lack_of_memory(self, engine):
        fail_above(engine, 0, RuntimeError("shapes differ"))
        with pytest.raises(RuntimeError, match="shapes differ"):
            engine.rank([RankingRequest(QUERY, CANDIDATES)])

    def test_prefix_that_failed_half_way_is_computed_again(self, loaded, engine):
        expected = log_odds(engine.rank([RankingRequest("新的问题", CANDIDATES)])[0])
        other = copy_engine(loaded)
        other._scorer._network = copy.copy(loaded._scorer._network)
        attention, calls = other._scorer._network.attention, []

        class FailsOnce:
            score_dtype, height_step = attention.score_dtype, attention.height_step
            over_last = attention.over_last

            def over_pack(self, *arguments):
                calls.append(1)
                if len(calls) == 2:
                    raise MemoryError
                return attention.over_pack(*arguments)

        object.__setattr__(other._scorer._network, "attention", FailsOnce())
        assert log_odds(other.rank([RankingRequest("新的问题", CANDIDATES)])[0]) == pytest.approx(expected, abs=1e-5)


def fail_above(engine, documents: int, error: BaseException) -> None:
    network = engine._scorer._network

    class Small:
        def run(self, pack):
            if len(pack.documents) > documents:
                raise error
            return network.run(pack)

    engine._scorer._network = Small()


class TestCache:
    def test_repeated_question_costs_no_model_time(self, caching):
        (first,) = caching.rank([RankingRequest(QUERY, CANDIDATES)])
        runs = count_runs(caching)
        (second,) = caching.rank([RankingRequest(QUERY, CANDIDATES)])
        assert runs == []
        assert log_odds(second) == log_odds(first)
        assert [item.cached for item in second.scored] == [True] * 5
        assert not any(item.cached for item in first.scored)

    def test_only_new_candidates_are_computed(self, caching):
        caching.rank([RankingRequest(QUERY, CANDIDATES[:3])])
        runs = count_runs(caching)
        caching.rank([RankingRequest(QUERY, CANDIDATES)])
        assert runs == [2]

    def test_other_weights_share_nothing(self, folder, tmp_path):
        tokenizer = train_tokenizer()
        other = save_model(tmp_path, tiny_config(len(tokenizer)), tokenizer, seed=2)
        cache = MemoryScoreCache()
        (first,) = load(folder, cache=cache).rank([RankingRequest(QUERY, CANDIDATES)])
        (second,) = load(other, cache=cache).rank([RankingRequest(QUERY, CANDIDATES)])
        assert not any(item.cached for item in second.scored)
        assert first.info.revision != second.info.revision

    def test_dtypes_share_nothing(self, loaded, folder):
        cache = MemoryScoreCache()
        copy_engine(loaded, cache).rank([RankingRequest(QUERY, CANDIDATES)])
        (ranking,) = load(folder, cache=cache, dtype="bfloat16").rank([RankingRequest(QUERY, CANDIDATES)])
        assert not any(item.cached for item in ranking.scored)

    def test_threads_that_ask_the_same_compute_it_once(self, engine):
        slow_down(engine, 0.1)
        runs = count_runs(engine)
        threads = [threading.Thread(target=engine.rank, args=([RankingRequest(QUERY, CANDIDATES)],)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(runs) == 5


class TestLoading:
    def test_revision_follows_every_byte_of_the_weights(self, folder, tmp_path):
        shutil.copytree(folder, tmp_path / "copy")
        weights = tmp_path / "copy" / "model.safetensors"
        assert folder_revision(tmp_path / "copy") == folder_revision(folder)
        changed = bytearray(weights.read_bytes())
        changed[len(changed) // 3] ^= 1
        weights.write_bytes(changed)
        assert folder_revision(tmp_path / "copy") != folder_revision(folder)

    def test_damaged_weights_are_refused(self, folder, tmp_path):
        shutil.copytree(folder, tmp_path / "copy")
        weights = tmp_path / "copy" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        with pytest.raises(RerankerUnavailable, match="cannot be loaded"):
            load(tmp_path / "copy")

    def test_status_tells_what_runs(self, engine, caplog, folder):
        status = engine.status()
        assert status["device"] == "cpu"
        assert status["dtype"] == "float32"
        assert status["revision"] == engine.info.revision == folder_revision(folder)
        assert status["load_seconds"] > 0
        assert status["memory_bytes"] > 0
        assert status["reserved_bytes"] == 0
        assert status["compiled"] is False
        assert status["attention"] == "products"
        assert status["int8"] is False
        assert status["batch_tokens"] == 1024
        assert status["tokens_per_second"] > 0

    def test_loading_is_logged(self, folder, caplog):
        with caplog.at_level(logging.INFO, "reranking.qwen"):
            load(folder)
        assert "reranker ready" in caplog.text

    def test_default_instruction_is_the_published_one(self, engine):
        assert engine.instruction == DEFAULT_INSTRUCTION

    @pytest.mark.parametrize("source", ["auto", "folder"])
    def test_missing_folder_is_unavailable(self, tmp_path, source, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(RerankerUnavailable):
            load(tmp_path / "nothing", source=source)

    def test_modelscope_without_its_package_is_unavailable(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "modelscope", None)
        with pytest.raises(RerankerUnavailable, match="modelscope"):
            load("Qwen/Qwen3-Reranker-0.6B", source="modelscope")

    def test_modelscope_folder_is_loaded(self, folder, monkeypatch):
        import types

        module = types.ModuleType("modelscope")
        module.snapshot_download = lambda model_id: str(folder)
        monkeypatch.setitem(__import__("sys").modules, "modelscope", module)
        assert load("Qwen/Qwen3-Reranker-0.6B", source="modelscope").info.name == "Qwen3-Reranker-0.6B"

    @pytest.mark.parametrize(
        "change",
        [{"model_type": "llama"}, {"attention_bias": True}, {"hidden_act": "gelu"}],
        ids=["other model", "bias", "activation"],
    )
    def test_other_architecture_is_refused(self, folder, tmp_path, change):
        for path in folder.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(RerankerUnavailable):
            load(tmp_path)

    def test_yes_must_be_one_token(self, tmp_path):
        tokenizer = train_tokenizer(vocabulary=256)  # bytes alone, but for what training adds
        folder = save_model(tmp_path, tiny_config(len(tokenizer)), tokenizer)
        with pytest.raises(RerankerUnavailable, match="single token"):
            load(folder)

    @pytest.mark.parametrize(("value", "message"), [(0.0, "alike"), (float("nan"), "probe failed")])
    def test_broken_weights_are_refused(self, folder, tmp_path, value, message):
        from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

        model = Qwen3ForCausalLM.from_pretrained(folder)
        model.model.norm.weight.data.fill_(value)
        model.save_pretrained(tmp_path)
        PreTrainedTokenizerFast.from_pretrained(folder).save_pretrained(tmp_path)
        with pytest.raises(RerankerUnavailable, match=message):
            load(tmp_path)

    @pytest.mark.parametrize("wrong", [{"max_length": 64}, {"max_length": 40_000}, {"dtype": "int4"}])
    def test_wrong_setting_is_an_error(self, folder, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            load(folder, **wrong)

    def test_absent_device_is_unavailable(self, folder):
        with pytest.raises(RerankerUnavailable):
            load(folder, device="cuda:7")

    def test_non_finite_score_is_never_sorted(self, engine):
        engine._scorer._head = engine._scorer._head * float("nan")
        with pytest.raises(NonFiniteScore):
            engine.rank([RankingRequest(QUERY, CANDIDATES)])


class TestDevice:
    @pytest.mark.parametrize(("speedup", "dtype"), [(2.5, torch.bfloat16), (0.3, torch.float32)])
    def test_dtype_is_the_one_the_processor_is_fast_in(self, monkeypatch, speedup, dtype):
        monkeypatch.setattr(qwen_device, "bfloat16_speedup", lambda: speedup)
        assert qwen_device.choose_dtype("auto", torch.device("cpu")) is dtype

    def test_probe_measures_something(self):
        assert 0.001 < qwen_device.bfloat16_speedup() < 1000

    @pytest.mark.parametrize(
        ("content", "expected"), [("200000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("", None)]
    )
    def test_container_quota_is_read(self, tmp_path, content, expected):
        (tmp_path / "cpu.max").write_text(content)
        assert qwen_device.container_quota(tmp_path / "cpu.max") == expected

    def test_missing_quota_is_no_limit(self, tmp_path):
        assert qwen_device.container_quota(tmp_path / "none") is None

    def test_threads_are_set_as_asked(self):
        before = torch.get_num_threads()
        try:
            assert qwen_device.set_threads(1) == 1
            assert qwen_device.set_threads(None) == qwen_device.usable_processors()
        finally:
            torch.set_num_threads(before)
