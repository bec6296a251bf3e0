"""Lookups fuse what is found by meaning, and go by words alone, openly, where that cannot be had."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from io import StringIO
from itertools import count
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from hotline import checks, embedders, semantic_recall, tasks
from hotline.embedders import KnowledgeEmbedder
from hotline.live_settings import forget_live_values, get_live_settings
from hotline.models import Lookup, SavedSettings, User
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import fingerprints
from hotline.services.golden_questions import add_golden_question
from hotline.services.live_settings import save_settings
from hotline.services.lookups import start_lookup
from hotline.trials import run_trial
from kb.embedding import Embedder, EmbeddingFailed
from kb.engine import get_search_engine
from kb.fingerprints import build_fingerprints, list_missing
from kb.models import DocumentVersion, SemanticFingerprint
from kb.retrieval import retrieve
from kb.search.types import SearchFilter
from reranking import qwen_known_similarities
from reranking.embedding import EmbedderUnavailable
from reranking.remote_embedding import RemoteEmbedder
from tests.embedders import FakeTextEmbedder
from tests.reranking.serving import FakeReranker, serve

pytestmark = pytest.mark.django_db
Policies = dict[str, DocumentVersion]


@pytest.fixture
def model() -> FakeTextEmbedder:
    return FakeTextEmbedder()


@pytest.fixture
def host(model: FakeTextEmbedder, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Embedder]:
    """An embedding server that the settings name."""
    with serve(FakeReranker(), embedder=model) as url, closing(RemoteEmbedder(url)) as remote:
        settings.EMBEDDING_URL = url
        embedder = KnowledgeEmbedder(remote)
        monkeypatch.setattr(embedders, "_connect", lambda *ignored: embedder)
        yield embedder
        model.gate.set()


def found(lookup: Lookup) -> list[int]:
    return [result.version_id for result in lookup.results.all()]


def test_without_a_host_nothing_changes(policies: Policies) -> None:
    lookup = start_lookup(question="楼上漏水物业不管", by=None)

    assert lookup.notices == []
    assert "semantic" not in lookup.milliseconds
    assert all("semantic" not in result.features for result in lookup.results.all())


def test_what_no_word_finds_is_found_by_meaning(policies: Policies, host: Embedder) -> None:
    """A question without a bigram or word of the policy, which shares characters with it all the same."""
    build_fingerprints(host)
    question = "养狗吗"
    by_words = retrieve(get_search_engine(), question, SearchFilter())
    assert by_words.documents == ()

    lookup = start_lookup(question=question, by=None)

    assert len(found(lookup)) == 3
    assert lookup.notices == []
    assert lookup.milliseconds["semantic"] > 0
    assert {result.features["semantic"] for result in lookup.results.all()} != {0.0}


def test_filters_hold_for_what_is_found_by_meaning(policies: Policies, host: Embedder) -> None:
    build_fingerprints(host)

    lookup = start_lookup(question="养狗吗", by=None, filters={"regions": ["青溪区"]})

    assert found(lookup) == [policies["rent"].pk]


def test_question_carries_the_instruction_and_passages_do_not(
    policies: Policies, host: Embedder, model: FakeTextEmbedder
) -> None:
    build_fingerprints(host)
    start_lookup(question="楼上漏水物业不管", by=None)

    asked = [text for call in model.calls for text in call if text.startswith("Instruct: ")]
    assert len(asked) == 1
    assert "\nQuery:" in asked[0]


def test_failing_host_leaves_the_words_and_says_so(policies: Policies, host: Embedder, model: FakeTextEmbedder) -> None:
    build_fingerprints(host)
    model.fail_with = lambda: EmbedderUnavailable("away")

    lookup = start_lookup(question="楼上漏水物业不管", by=None)

    assert found(lookup)[0] == policies["leak"].pk
    assert lookup.notices == ["semantic_unavailable"]


def test_slow_host_is_not_waited_for(
    policies: Policies, host: Embedder, model: FakeTextEmbedder, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    build_fingerprints(host)
    model.gate.clear()
    with closing(RemoteEmbedder(settings.EMBEDDING_URL, timeout=0.2)) as impatient:
        monkeypatch.setattr(embedders, "_connect", lambda *ignored: KnowledgeEmbedder(impatient))
        lookup = start_lookup(question="楼上漏水物业不管", by=None)

    assert lookup.notices == ["semantic_unavailable"]
    assert found(lookup)[0] == policies["leak"].pk


def test_host_without_fingerprints_leaves_the_words_and_says_so(policies: Policies, host: Embedder) -> None:
    lookup = start_lookup(question="楼上漏水物业不管", by=None)

    assert lookup.notices == ["semantic_unavailable"]
    assert found(lookup)[0] == policies["leak"].pk


def test_damaged_store_leaves_the_words_and_says_so(
    policies: Policies, host: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kb.search.types import SearchEngineUnavailable

    def fail(*ignored: object) -> None:
        raise SearchEngineUnavailable("damaged")

    monkeypatch.setattr(semantic_recall, "rank_by_meaning", fail)
    assert start_lookup(question="楼上漏水物业不管", by=None).notices == ["semantic_unavailable"]


def test_notice_outlives_the_reranking(policies: Policies, host: Embedder) -> None:
    lookup = start_lookup(question="楼上漏水物业不管", by=None)

    tasks.rerank_waiting_lookups()

    lookup.refresh_from_db()
    assert lookup.is_final
    assert "semantic_unavailable" in lookup.notices


def test_settings_leave_it_out(policies: Policies, host: Embedder) -> None:
    build_fingerprints(host)
    usual, by_words = (
        run_trial("养狗吗", RetrievalSettings(semantic=semantic), as_of=date(2026, 11, 21))
        for semantic in ("default", "none")
    )

    assert (len(usual.documents), usual.embedder) == (3, host.space.revision)
    assert (by_words.documents, by_words.embedder) == ((), "")
    SavedSettings.objects.create(settings={"semantic": "none"})
    forget_live_values()
    assert found(start_lookup(question="养狗吗", by=None)) == []


def test_gate_does_not_pass_silently_where_it_failed_half_way(
    policies: Policies, host: Embedder, model: FakeTextEmbedder, agent: User
) -> None:
    """The figures have not fallen, but half of them do not say what they should."""
    build_fingerprints(host)
    for question, name in (("加装电梯补贴多少钱", "lift"), ("楼上漏水物业几天到场", "leak")):
        add_golden_question(question=question, document_ids=[policies[name].document_id], by=agent)
    asked = count(1)

    def fail_from_the_third() -> EmbedderUnavailable | None:
        return EmbedderUnavailable("away") if next(asked) > 2 else None

    model.fail_with = fail_from_the_third
    run = save_settings(settings=RetrievalSettings(rewrites="always"), note="", by=agent)

    assert run.state == "failed"
    assert "2 个标准问题没有正常问完（语义召回不可用，只按字词检索）" in run.error
    assert get_live_settings() == RetrievalSettings()


def test_task_builds_what_is_missing_through_the_host(policies: Policies, host: Embedder) -> None:
    tasks.build_fingerprints()

    assert list_missing(host.space) == []


def test_task_lets_others_have_their_turn_and_rings_again(
    policies: Policies, host: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[object] = []
    monkeypatch.setattr(fingerprints, "enqueue", rung.append)
    monkeypatch.setattr(fingerprints, "SLICE_SECONDS", -1.0)
    tasks.build_fingerprints()
    assert rung == [tasks.build_fingerprints]

    monkeypatch.setattr(fingerprints, "SLICE_SECONDS", 20.0)
    tasks.build_fingerprints()
    assert len(rung) == 1


def test_task_without_an_embedder_or_with_a_failing_one_does_nothing(
    policies: Policies, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    tasks.build_fingerprints()
    assert not caplog.records
    settings.EMBEDDING_MODEL = "/nowhere"
    settings.RERANKER_SOURCE = "folder"
    tasks.build_fingerprints()
    assert "left to the next sweep" in caplog.text
    assert not SemanticFingerprint.objects.exists()


class TestCommand:
    def test_builds_reports_and_does_nothing_twice(
        self, policies: Policies, host: Embedder, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("build_fingerprints")
        first = capsys.readouterr().out
        call_command("build_fingerprints", "--prune")

        assert "0/3 个版本" in first
        assert "补入 3 个版本" in first
        assert "新算 0 个段落" in capsys.readouterr().out

    def test_says_what_is_missing(self, policies: Policies, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="没有嵌入模型"):
            call_command("build_fingerprints")
        with pytest.raises(CommandError, match="一起给出"):
            call_command("build_fingerprints", "--output", str(tmp_path))
        with pytest.raises(CommandError, match="nowhere"):
            call_command("build_fingerprints", "--model", str(tmp_path / "nowhere"))

    def test_policies_of_a_file_make_a_store_of_their_own(
        self, host: Embedder, model: FakeTextEmbedder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from hotline.evaluation.fingerprints import PASSAGES_FILE, open_store

        rows = [("a", "养犬条例", "第一条 养犬应当登记。"), ("b", "居住证办法", "第一条 居住证每年签注。")]
        file, store = tmp_path / "policies.jsonl", tmp_path / "store"
        file.write_text("\n".join(f'{{"id": "{i}", "title": "{t}", "content": "{c}"}}' for i, t, c in rows))
        call_command("build_fingerprints", "--policies", str(file), "--output", str(store))
        asked = sum(map(len, model.calls))
        call_command("build_fingerprints", "--policies", str(file), "--output", str(store))

        assert sum(map(len, model.calls)) - asked <= 1
        hits = open_store(store, host.space).search(host.embed_queries(["居住证签注"]).rows, SearchFilter(), limit=1)
        assert hits[0][0][:2] == (2, 2)
        assert '"document_id": "b"' in (store / PASSAGES_FILE).read_text(encoding="utf-8").splitlines()[1]


class TestCheckEmbedder:
    def test_other_model_fails_with_its_differences(self, host: Embedder, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(CommandError, match="不通过"):
            call_command("check_embedder")
        assert capsys.readouterr().out.count("内积") == 4

    def test_model_that_gives_the_known_values_passes(
        self, host: Embedder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queries, passages = qwen_known_similarities.KNOWN_QUERIES, qwen_known_similarities.KNOWN_PASSAGES
        found = host.embed_queries(queries).rows @ host.embed_passages(passages).rows.T
        monkeypatch.setattr(qwen_known_similarities, "KNOWN_SIMILARITIES", tuple(found.ravel()))
        call_command("check_embedder")
        assert "通过" in capsys.readouterr().out

    def test_missing_or_failing_embedder_is_said(
        self, host: Embedder, settings: Settings, model: FakeTextEmbedder
    ) -> None:
        model.fail_with = lambda: EmbedderUnavailable("away")
        with pytest.raises(CommandError, match="无法使用"):
            call_command("check_embedder")
        settings.EMBEDDING_URL = ""
        with pytest.raises(CommandError, match="没有嵌入模型"):
            call_command("check_embedder")


Configure = Callable[[], list[str]]


@pytest.fixture
def found_checks() -> Configure:
    return lambda: [message.id or "" for message in checks.check_settings()]


def test_checks_name_what_would_do_harm(settings: Settings, found_checks: Configure) -> None:
    assert not [code for code in found_checks() if code.endswith("040")]
    settings.EMBEDDING_URL = "gpu-host:8100"
    assert "hotline.E040" in found_checks()
    settings.EMBEDDING_URL, settings.EMBEDDING_MODEL = "", "/models/Qwen3-Embedding-0.6B"
    assert "hotline.W040" in found_checks()


def test_unusable_model_is_an_embedding_failure(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingFailed):
        embedders.load_embedder(str(tmp_path / "nowhere"))


def test_evaluation_prints_its_figures_with_what_is_found_by_meaning(
    host: Embedder, model: FakeTextEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question that no word of its policy answers counts as found; the vectors are kept for the next time."""
    documents, queries = tmp_path / "documents.jsonl", tmp_path / "queries.jsonl"
    documents.write_text('{"id": "a", "title": "养犬条例", "content": "第一条 饲养犬只应当登记。"}\n', encoding="utf-8")
    queries.write_text('{"qid": "1", "question": "狗儿呢", "doc_ids": ["a"]}\n', encoding="utf-8")
    monkeypatch.setattr("hotline.management.commands.evaluate.load_embedder", lambda location: host)
    arguments = ["evaluate", "--documents", documents, "--queries", queries, "--reranker", "none", "--json"]

    def recall(*more: object) -> float:
        output = StringIO()
        call_command(*map(str, (*arguments, *more)), stdout=output, stderr=StringIO())
        report = json.loads(output.getvalue().splitlines()[-1])
        return float(report["sets"]["all"]["first_stage"]["recall@50"])

    by_meaning = ("--embedding-model", "/models/tiny", "--fingerprints", tmp_path / "vectors")
    assert recall() == 0
    assert recall(*by_meaning) == 100
    embedded = sum("登记" in text for call in model.calls for text in call)
    assert recall(*by_meaning) == 100
    assert sum("登记" in text for call in model.calls for text in call) == embedded
