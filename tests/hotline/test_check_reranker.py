"""check_reranker says pass or fail of the weights that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from hotline.management.commands import check_reranker
from reranking import qwen_known_values
from reranking.qwen_known_values import KNOWN_LOG_ODDS, KNOWN_QUERY
from reranking.types import NonFiniteScore, Ranking, RankingRequest, RerankerInfo, ScoredPassage, order_scored
from tests.reranking.models import save_model, tiny_config, train_tokenizer
from tests.reranking.serving import FAKE_INFO, FakeReranker, serve


@pytest.fixture
def weights(tmp_path: Path, settings: Settings) -> Path:
    tokenizer = train_tokenizer()
    save_model(tmp_path / "model", tiny_config(len(tokenizer)), tokenizer)
    settings.RERANKER_MODEL = str(tmp_path / "model")
    settings.RERANKER_DTYPE = "float32"
    settings.RERANKER_DEVICE = "cpu"
    return tmp_path / "model"


def test_other_weights_fail_with_their_differences(weights: Path) -> None:
    output = StringIO()
    with pytest.raises(CommandError, match="不通过"):
        call_command("check_reranker", stdout=output)

    assert output.getvalue().count("对数几率") == len(qwen_known_values.KNOWN_LOG_ODDS)


def test_weights_that_score_as_known_pass(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hotline.rerankers import load_configured_model

    pairs = [(qwen_known_values.KNOWN_QUERY, document) for document in qwen_known_values.KNOWN_DOCUMENTS]
    scores = load_configured_model().score_pairs(pairs, qwen_known_values.PUBLISHED_INSTRUCTION)
    monkeypatch.setattr(qwen_known_values, "KNOWN_LOG_ODDS", tuple(scores))
    output = StringIO()
    call_command("check_reranker", stdout=output)

    assert "通过" in output.getvalue()


def test_weights_whose_scores_are_not_finite_are_said(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise NonFiniteScore("nan")

    monkeypatch.setattr(check_reranker, "check_known_values", fail)
    with pytest.raises(CommandError, match="没有给出可用的分数"):
        call_command("check_reranker", stdout=StringIO())


def test_missing_weights_are_said(settings: Settings, tmp_path: Path) -> None:
    settings.RERANKER_MODEL = str(tmp_path / "none")
    settings.RERANKER_SOURCE = "folder"
    settings.RERANKER_DEVICE = "cpu"
    with pytest.raises(CommandError, match="无法载入"):
        call_command("check_reranker", stdout=StringIO())


def test_sizes_of_which_no_values_are_known_are_checked_by_order(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qwen_known_values, "UNKNOWN_MODELS", {64: "another size"})
    output = StringIO()
    with suppress(CommandError):  # random weights order as they like
        call_command("check_reranker", stdout=output)

    assert "load_seconds" in output.getvalue()
    assert "对数几率" not in output.getvalue()


class KnownHost(FakeReranker):
    """Scores the known pairs as published, `shift` apart, and the rest by shared characters."""

    def __init__(self, *, shift: float = 0.0, name: str = "Qwen3-Reranker-0.6B", flat: bool = False) -> None:
        super().__init__()
        self.shift, self.name, self.flat = shift, name, flat

    @property
    def info(self) -> RerankerInfo:
        return replace(FAKE_INFO, name=self.name)

    def _rank_one(self, request: RankingRequest, started: float) -> Ranking:
        if request.query == KNOWN_QUERY:
            values = [value + self.shift for value in KNOWN_LOG_ODDS]
        elif self.flat:
            values = [0.0] * len(request.candidates)
        else:
            return super()._rank_one(request, started)
        pairs = zip(request.candidates, values, strict=True)
        scored = [ScoredPassage.from_log_odds(candidate.id, value) for candidate, value in pairs]
        return Ranking(order_scored(scored), self.info)


@pytest.fixture
def check_host(settings: Settings) -> Callable[[FakeReranker], str]:
    def check(engine: FakeReranker) -> str:
        output = StringIO()
        with serve(engine) as url:
            settings.RERANKER, settings.RERANKER_URL = "remote", url
            call_command("check_reranker", stdout=output)
        return output.getvalue()

    return check


def test_host_that_scores_as_known_passes(check_host: Callable[[FakeReranker], str]) -> None:
    output = check_host(KnownHost())

    assert "通过：最大差 0.0000" in output
    assert output.count("对数几率") == 4


@pytest.mark.parametrize("host", [KnownHost(shift=0.5), KnownHost(flat=True)], ids=["other scores", "flat scores"])
def test_host_that_scores_otherwise_fails(check_host: Callable[[FakeReranker], str], host: KnownHost) -> None:
    with pytest.raises(CommandError, match="不通过"):
        check_host(host)


def test_larger_model_of_a_host_is_checked_by_order(check_host: Callable[[FakeReranker], str]) -> None:
    output = check_host(KnownHost(shift=3.0, name="Qwen3-Reranker-4B"))

    assert "没有可比对的已知分值" in output
    assert "通过" in output


def test_foreign_host_that_applies_its_own_template_is_checked_by_order(
    check_host: Callable[[FakeReranker], str], settings: Settings
) -> None:
    settings.RERANKER_API, settings.RERANKER_TEMPLATE = "tei", "host"

    assert "提示模板由对方套用" in check_host(KnownHost(shift=3.0))


def test_host_that_is_away_is_said(settings: Settings) -> None:
    settings.RERANKER, settings.RERANKER_URL = "remote", "http://127.0.0.1:1"
    with pytest.raises(CommandError, match="没有给出可用的分数"):
        call_command("check_reranker", stdout=StringIO())
