"""A dictionary that goes live in one process is used by the others within seconds."""

from __future__ import annotations

import httpx
import pytest

from tests.services.stack import Stack, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SETTLED = (
    "from kb.indexing import ensure_index; from kb.engine import get_search_engine; ensure_index(get_search_engine())"
)
RELEASE = (
    "from kb.services.dictionary_drafts import *; from kb.services.dictionaries import *; "
    "draft_new_entry(values={'kind': 'synonym', 'text': '升降机', 'other': '电梯'}, by=None); "
    "release_drafts(by=None, drafts_sha256=digest_drafts())"
)


def test_a_running_web_server_follows_a_release_of_another_process(stack: Stack) -> None:
    stack.manage("sync_dictionaries")
    stack.manage("shell", "--verbosity", "0", "-c", SETTLED)
    stack.start_web()
    with stack.client() as client:
        assert "电梯补贴多少钱" not in _wordings(client)

        stack.manage("shell", "--verbosity", "0", "-c", RELEASE)

        wait_for(lambda: "电梯补贴多少钱" in _wordings(client), seconds=20)
    assert stack.evaluate("Lookup.objects.first().rule_versions['release']") == "2"


def _wordings(client: httpx.Client) -> list[str]:
    answer = client.post("lookups", json={"question": "升降机补贴多少钱"}).json()
    return [variant["text"] for variant in answer["variants"]]
