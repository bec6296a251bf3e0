"""The worker that reranks, as a real process on Redis: what kills its child must not end it."""

from __future__ import annotations

import os
import signal

import pytest

from tests.services.stack import Stack, wait_for
from tests.services.test_end_to_end import publish_sample

pytestmark = [pytest.mark.slow, pytest.mark.service, pytest.mark.timeout(300)]


def test_killed_child_is_replaced_however_slowly_the_model_loads(production: Stack) -> None:
    publish_sample(production)
    production.env["WARM_UP_RERANKER"] = "1"
    production.start_web()
    production.start_worker("rerank", "rerank", app="tests.services.slow_loading")
    with production.client() as client:
        asked = client.post("lookups", json={"question": "电梯补贴"}).json()["id"]
        wait_for(lambda: client.get(f"lookups/{asked}").json()["is_final"])

        (child,) = production.children("rerank")
        os.kill(child, signal.SIGKILL)
        asked = client.post("lookups", json={"question": "加装电梯"}).json()["id"]
        wait_for(lambda: client.get(f"lookups/{asked}").json()["is_final"], seconds=40)
        assert production.children("rerank") != [child]
