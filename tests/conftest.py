"""What every test shares: the addresses of real servers and data, and a run in which nothing may be skipped.

An address comes from the environment. Where it is unset the test that needs it is skipped and says so; with
`--forbid-skips` (or FORBID_SKIPS=1), as in `.ci/run`, such a skip is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

GUARDED_MARKERS = ("service", "browser", "evaluation")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--forbid-skips",
        action="store_true",
        default=os.environ.get("FORBID_SKIPS", "") not in {"", "0"},
        help="a skipped test of a service, the browser or the evaluation data fails",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("forbid_skips"):
        guarded = [name for name in GUARDED_MARKERS if item.get_closest_marker(name)]
        if guarded:
            report.outcome = "failed"
            report.longrepr = f"skipped, though {', '.join(guarded)} tests must run here: {report.longrepr}"
    return report


def require_environment(name: str) -> str:
    """The value of an environment variable that names a server or data. Skips the test where it is unset."""
    value = os.environ.get(name, "")
    if not value:
        pytest.skip(f"{name} is not set")
    return value


@pytest.fixture(scope="session")
def evaluation_dir() -> Path:
    """The folder of the evaluation data (EVALUATION_DIR)."""
    folder = Path(require_environment("EVALUATION_DIR"))
    if not folder.is_dir():
        pytest.skip(f"EVALUATION_DIR is no folder: {folder}")
    return folder


@pytest.fixture(scope="session")
def elasticsearch_url() -> str:
    """Address of a real Elasticsearch 8.19 (ELASTICSEARCH_TEST_URL)."""
    return require_environment("ELASTICSEARCH_TEST_URL")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """Address of a PostgreSQL database that tests may fill and empty (POSTGRES_TEST_URL)."""
    return require_environment("POSTGRES_TEST_URL")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Address of a Redis database that tests may empty (REDIS_TEST_URL)."""
    return require_environment("REDIS_TEST_URL")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The system's Chromium (CHROMIUM_PATH)."""
    return require_environment("CHROMIUM_PATH")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object], chromium_path: str) -> dict[str, object]:
    """pytest-playwright drives the system's Chromium; it downloads none."""
    return {**browser_type_launch_args, "executable_path": chromium_path, "args": ["--no-sandbox"]}
