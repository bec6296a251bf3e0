"""check_reranker says pass or fail of the weights that the settings name."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from reranking import qwen_known_values
from tests.reranking.models import save_model, tiny_config, train_tokenizer


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


def test_missing_weights_are_said(settings: Settings, tmp_path: Path) -> None:
    settings.RERANKER_MODEL = str(tmp_path / "none")
    settings.RERANKER_SOURCE = "folder"
    settings.RERANKER_DEVICE = "cpu"
    with pytest.raises(CommandError, match="无法载入"):
        call_command("check_reranker", stdout=StringIO())
