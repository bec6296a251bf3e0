"""An agent with a citizen on the line: ask, read, move, copy, adopt, without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from hotline.models import Lookup, Ticket, User
from tests.browser.conftest import SignIn
from tests.factories import make_review, make_user, rerank_lookup

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("policies")]
QUESTION = "云岚市楼上漏水物业多久到场维修"


def ask(page: Page, question: str = QUESTION) -> Lookup:
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.insert_text(question)
    page.keyboard.press("Enter")
    expect(page.locator("#results .card").first).to_be_visible()
    return Lookup.objects.latest("id")


def titles(page: Page) -> list[str]:
    return page.locator("#results .card h2").all_inner_texts()


def finish(lookup: Lookup, first: str) -> None:
    """The worker's part: the policy named `first` comes first."""
    results = lookup.results.select_related("version").order_by("first_stage_rank")
    rerank_lookup(lookup, [5.0 if first in result.version.title else -result.rank for result in results])


def test_the_first_results_are_replaced_in_place_when_the_order_is_there(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    lookup = ask(page)
    expect(page.locator(".results .tag.doubt", has_text="未重排")).to_be_visible()
    expect(page.locator("#document mark", has_text="两个工作日")).to_be_visible()
    assert "物业管理" in titles(page)[0]
    address = page.url

    finish(lookup, "加装电梯")

    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    assert "加装电梯" in titles(page)[0]
    expect(page.locator("#document .document-head h2")).to_contain_text("加装电梯")  # nobody had chosen
    expect(page.locator(".results", has_text="未重排")).to_have_count(0)
    assert page.url == address


def test_asking_stops_when_the_order_is_final(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    finish(ask(page), "加装电梯")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#document .document-head h2")).to_contain_text("加装电梯")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))

    page.wait_for_timeout(1500)

    assert requests == []


def test_what_was_chosen_stays_open_while_the_list_changes(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    lookup = ask(page)
    chosen = titles(page)[1]
    page.keyboard.press("2")
    expect(page.locator("#document .document-head h2")).to_have_text(chosen)

    finish(lookup, "公共租赁")

    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#document .document-head h2")).to_have_text(chosen)
    expect(page.locator("#results .card.active h2")).to_have_text(chosen)


def test_what_is_being_typed_survives_the_new_order(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    lookup = ask(page)
    page.fill("#options [name=region]", "青溪区")

    finish(lookup, "公共租赁")

    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#options [name=region]")).to_have_value("青溪区")


def test_a_new_call_begins_with_one_key(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    ask(page)

    page.keyboard.press("n")

    expect(page.locator("textarea#question")).to_be_focused()


def test_without_a_mouse(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    finish(ask(page), "物业管理")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")

    page.keyboard.press("ArrowDown")
    expect(page.locator("#results .card").nth(1).locator("a.open")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#document mark").first).to_be_in_viewport()
    page.keyboard.press("c")
    expect(page.locator("#announce")).to_have_text("已复制答复与出处")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[-1].startswith("——《云岚市物业管理条例》，第")
    assert "两个工作日" in copied
    page.keyboard.press("a")
    expect(page.locator("#work .adopted")).to_contain_text("云岚市物业管理条例")
    assert Ticket.objects.get().state == "answered"


def test_keys_are_letters_where_one_types(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    ask(page)

    page.fill("#notes", "")
    page.locator("#notes").press_sequentially("ac/?1")

    expect(page.locator("#notes")).to_have_value("ac/?1")
    assert Ticket.objects.get().state == "open"
    expect(page.locator("#help")).to_be_hidden()


def test_the_help_opens_and_closes(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    ask(page)

    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_a_reviewers_verdict_appears_on_the_agents_page(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    lookup = ask(page)
    finish(lookup, "物业管理")
    make_review(lookup)
    expect(page.locator(".banner", has_text="已送复核")).to_be_visible()

    desk = sign_in(make_user("reviewer"))
    desk.goto("/reviews/")
    desk.click(f"text={QUESTION}")
    desk.wait_for_url("**/reviews/*/", wait_until="load")
    desk.keyboard.press("1")
    expect(desk.locator('[data-pick="1"]')).to_be_checked()
    desk.fill("#note", "按第二条答复")
    desk.click("text=选定所勾选的")
    expect(desk.locator(".notice.success")).to_contain_text("已复核")

    expect(page.locator(".banner.settled")).to_contain_text("第 1 项", timeout=10_000)
    expect(page.locator(".banner.settled")).to_contain_text("按第二条答复")


def test_an_error_is_said_in_place(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    ask(page)
    Ticket.objects.update(state="closed")

    page.click("text=结束工单")

    expect(page.locator("#notice .error")).to_contain_text("不能这样操作")
    expect(page.locator("#results .card").first).to_be_visible()


def test_notes_are_saved_and_thumbs_given_in_place(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    finish(ask(page), "物业管理")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")

    page.fill("#notes", "市民着急")
    page.click("text=保存备注")
    expect(page.locator("#work .notice")).to_have_text("备注已保存。")
    page.locator(".thumbs button", has_text="有用").first.click()

    expect(page.locator(".thumbs button[aria-pressed=true]")).to_have_text("有用")
    assert Ticket.objects.get().notes == "市民着急"


def test_what_is_adopted_is_marked_in_the_list_at_once(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    finish(ask(page), "物业管理")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    if "/tickets/" not in page.url:
        page.click("text=建立工单")
        page.wait_for_url("**/tickets/**")
        expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    marked = page.locator("#results .card:has([data-adopted]:visible)")
    expect(marked).to_have_count(0)

    for key in ("1", "2"):
        page.keyboard.press(key)
        title = titles(page)[int(key) - 1]
        expect(page.locator("#document .document-head h2")).to_have_text(title)
        page.keyboard.press("a")

        expect(marked).to_have_count(1)
        expect(marked.locator("h2")).to_have_text(title)


def test_rewrites_are_explained_in_place_and_asked_with(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    ask(page, "你好，请问公租房怎么申请")
    address = page.url

    page.click("text=智能改写")
    expect(page.locator("#rewrites .why").first).to_be_visible()
    assert page.url == address
    button = page.locator("#rewrites button[name=with]").first
    chosen = button.get_attribute("value")
    button.click()

    page.click("summary:has-text('条已参与检索')")
    expect(page.locator("#rewrites .rewrite", has_text="已参与检索").filter(has_text=chosen)).to_be_visible()
    assert Lookup.objects.latest("id").variants.get(text=chosen).is_used


def test_step_of_understanding_is_taken_back_by_one_click(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent)
    ask(page, "你好，请问公租房怎么申请")

    page.locator(".step", has_text="你好").locator("button").click()

    expect(page.locator(".step.removed")).to_contain_text("你好")
    page.locator(".step.removed button").click()
    expect(page.locator(".step.removed")).to_have_count(0)
    assert Lookup.objects.latest("id").without == []


def test_everything_works_without_javascript(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent, java_script_enabled=False)
    page.fill("#question", QUESTION)
    page.click("text=建工单并检索")
    expect(page.locator("#document mark", has_text="两个工作日")).to_be_visible()
    finish(Lookup.objects.get(), "物业管理")

    page.locator("#results a.open").nth(1).click()
    page.click("#adopt-form button")

    expect(page.locator(".notice.success")).to_contain_text("已采纳")
    expect(page.locator("#work .adopted")).to_be_visible()


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_runs_out_of_the_page(sign_in: SignIn, agent: User, width: int) -> None:
    page = sign_in(agent, viewport={"width": width, "height": 800})
    ask(page)

    for address in (page.url, "/", "/tickets/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_theme_is_remembered(sign_in: SignIn, agent: User) -> None:
    page = sign_in(agent, color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.click("[data-toggle-theme]")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()

    assert dark != light
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
