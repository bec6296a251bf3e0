"""The desk in a real browser, on the live server, with real policies in the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, Page

from hotline.models import User
from kb.models import DocumentVersion
from kb.search.types import SearchEngine
from tests.factories import make_user
from tests.policies import publish_samples

SignIn = Callable[[User], Page]


@pytest.fixture(scope="session", autouse=True)
def _allow_queries_beside_the_browser() -> Iterator[None]:
    """Playwright keeps an event loop in the tests' thread until the end; Django would forbid queries there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


@pytest.fixture
def policies(transactional_db: None, engine: SearchEngine) -> dict[str, DocumentVersion]:
    return publish_samples()


@pytest.fixture
def agent(transactional_db: None) -> User:
    return make_user("agent")


@pytest.fixture
def sign_in(browser: Browser, live_server: object) -> Iterator[SignIn]:
    """A page of its own for a person who has signed in at the form. What the browser complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_page(user: User, **options: object) -> Page:
        context = browser.new_context(base_url=str(live_server), locale="zh-CN", **options)  # type: ignore[arg-type]
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Security Policy" in said.text else None)
        page.goto("/login/")
        page.fill("#id_username", user.username)
        page.fill("#id_password", "secret")
        page.click("text=登录 >> nth=-1")
        page.wait_for_selector(".who")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
