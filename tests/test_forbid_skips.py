"""The rule of `.ci/run`: a test of a service, the browser or the evaluation data that is skipped fails the run."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest

@pytest.mark.service
def test_service():
    pytest.skip("no server")

@pytest.mark.evaluation
@pytest.mark.skipif(True, reason="no data")
def test_evaluation():
    pass

@pytest.mark.browser
def test_fixture(chromium_path):
    pass

def test_plain():
    pytest.skip("another reason")

@pytest.mark.service
def test_passes():
    pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("FORBID_SKIPS", raising=False)
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nmarkers =\n  service\n  browser\n  evaluation\n")
    pytester.makepyfile(SUITE)
    return pytester


def run_suite(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_inprocess("-p", "no:django", "-p", "no:schemathesis", "-p", "no:playwright", *arguments)


def test_skips_are_said_and_pass_by_default(suite: pytest.Pytester) -> None:
    result = run_suite(suite, "-rs")

    result.assert_outcomes(passed=1, skipped=4)
    result.stdout.fnmatch_lines(["*CHROMIUM_PATH is not set*"])


def test_guarded_skips_fail_with_option(suite: pytest.Pytester) -> None:
    result = run_suite(suite, "--forbid-skips")

    result.assert_outcomes(passed=1, failed=1, errors=2, skipped=1)
    result.stdout.fnmatch_lines(["*skipped, though service tests must run here*"])


def test_guarded_skips_fail_with_environment_variable(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORBID_SKIPS", "1")

    run_suite(suite).assert_outcomes(passed=1, failed=1, errors=2, skipped=1)


def test_environment_variable_zero_forbids_nothing(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORBID_SKIPS", "0")

    run_suite(suite).assert_outcomes(passed=1, skipped=4)
