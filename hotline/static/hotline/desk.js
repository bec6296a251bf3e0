// The desk's keyboard, copying, theme and errors. Every page works without it.
(() => {
  "use strict";
  const find = (selector, within = document) => within.querySelector(selector);
  const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];
  let hasPicked = new URLSearchParams(location.search).has("result");

  // --- Saying things ---------------------------------------------------------------------------------------------
  function announce(text) {
    const place = find("#announce");
    if (!place) return;
    place.textContent = "";
    setTimeout(() => { place.textContent = text; }, 30);
  }

  function showNotice(text) {
    const paragraph = document.createElement("p");
    paragraph.className = "notice error";
    paragraph.textContent = text;
    find("#notice").replaceChildren(paragraph);
  }

  // --- Copying: the clipboard API exists on HTTPS and localhost only ---------------------------------------------
  async function copyText(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "hidden";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  async function copyFrom(button) {
    const done = await copyText(button.dataset.copy);
    announce(done ? "已复制答复与出处" : "未能复制");
    if (!done) showNotice("浏览器不允许复制，请手动选择文字。");
    button.classList.toggle("done", done);
    setTimeout(() => button.classList.remove("done"), 1500);
  }

  // --- Results and the opened document ---------------------------------------------------------------------------
  const links = () => findAll("#results a.open");

  function markActive() {
    const head = find("#document .document-head");
    for (const card of findAll("#results .card")) {
      const active = Boolean(head) && card.dataset.version === head.dataset.version;
      card.classList.toggle("active", active);
      const link = find("a.open", card);
      if (link) active ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    }
  }

  function markAdopted() {
    const adopted = find("#work")?.dataset.adoptedResult;
    if (!adopted) return;
    for (const card of findAll("#results .card")) find("[data-adopted]", card).hidden = card.dataset.result !== adopted;
  }

  function scrollToPassage() {
    const target = find("#passage"), pane = find("#document");
    if (!target || !pane) return;
    const head = find(".document-head", pane);
    const isStacked = matchMedia("(max-width: 720px)").matches;
    if (isStacked && hasPicked) pane.scrollIntoView({ block: "start" });
    const top = head ? head.offsetHeight : 0;
    pane.scrollTop = target.offsetTop - top - 24;
    // In a long passage the marked sentence may still be below the edge.
    const mark = find(".in-passage mark", pane);
    const hidden = mark ? mark.getBoundingClientRect().bottom - pane.getBoundingClientRect().bottom : 0;
    if (mark && hidden > -24) pane.scrollTop = mark.getBoundingClientRect().top - pane.getBoundingClientRect().top + pane.scrollTop - top - 48;
  }

  function move(step) {
    const all = links();
    if (!all.length) return;
    markActive();  // results swapped in a moment ago are not marked yet
    const at = all.indexOf(document.activeElement);
    const active = all.findIndex((link) => link.closest(".card").classList.contains("active"));
    const from = at >= 0 ? at : step > 0 && active < 0 ? -1 : active;
    const next = all[Math.min(all.length - 1, Math.max(0, from + step))];
    next.focus({ preventScroll: true });
    next.closest(".card").scrollIntoView({ block: "nearest" });
  }

  function press(selector) {
    const element = find(selector);
    if (element) element.click();
    return Boolean(element);
  }

  // --- Keys ------------------------------------------------------------------------------------------------------
  function toggleHelp() {
    const help = find("#help");
    help.hidden = !help.hidden;
    find("[data-toggle-help]")?.setAttribute("aria-expanded", String(!help.hidden));
  }

  const isTyping = (element) => element.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");

  const KEYS = {
    "/": () => { const box = find("#question"); box?.focus(); box?.select(); return Boolean(box); },
    "ArrowDown": () => { if (!links().length) return false; move(1); return true; },
    "ArrowUp": () => { if (!links().length) return false; move(-1); return true; },
    "c": () => press("#copy-answer"),
    "n": () => press(".nav a[href='/']"),
    "a": () => press("#adopt-form button"),
    "?": () => { toggleHelp(); return true; },
  };
  KEYS["、"] = KEYS["/"];
  KEYS["？"] = KEYS["?"];

  function pressDigit(key) {
    const box = find(`[data-pick="${key}"]`);
    if (box) { box.click(); box.focus(); return true; }
    const link = links()[Number(key) - 1];
    if (link) { link.focus({ preventScroll: true }); link.click(); }
    return Boolean(link);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const element = event.target instanceof Element ? event.target : document.body;
    if (event.key === "Escape") {
      if (isTyping(element)) element.blur();
      else if (!find("#help").hidden) toggleHelp();
      return;
    }
    if (isTyping(element)) {
      const sends = event.key === "Enter" && !event.shiftKey && element.hasAttribute("data-submit-on-enter");
      const leaves = event.key === "ArrowDown" && element.id === "question" && links().length;
      if (sends) { event.preventDefault(); element.form.requestSubmit(); }
      if (leaves) { event.preventDefault(); move(1); }
      return;
    }
    const done = /^[1-9]$/.test(event.key) ? pressDigit(event.key) : KEYS[event.key]?.();
    if (done) event.preventDefault();
  });

  // --- Clicks ----------------------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const copy = target.closest("[data-copy]");
    if (copy) copyFrom(copy);
    if (target.closest("[data-toggle-theme]")) toggleTheme();
    if (target.closest("[data-toggle-help]")) toggleHelp();
    if (event.isTrusted && target.closest("#results a, #document a")) hasPicked = true;
    if (target.matches("[data-check-all]")) {
      for (const box of findAll(`input[name="${target.dataset.checkAll}"]`)) box.checked = target.checked;
    }
  });

  function toggleTheme() {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it lasts for this page */ }
  }

  // --- What changes in place -------------------------------------------------------------------------------------
  let focused = null;

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (xhr.status >= 400 && xhr.getResponseHeader("HX-Retarget")) event.detail.shouldSwap = true;
    // The list is replaced under the agent's fingers: the same policy keeps the focus.
    const card = target?.id === "results" ? document.activeElement?.closest?.("#results .card") : null;
    focused = card?.dataset.version ?? null;
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const id = event.detail.target?.id;
    if (id === "notice") return;
    find("#notice")?.replaceChildren();
    if (id === "document") { scrollToPassage(); markActive(); }
    if (id === "work") { announce(find("#work .notice")?.textContent ?? ""); markAdopted(); }
  });

  document.addEventListener("htmx:load", (event) => {
    if (event.detail.elt.id !== "results") return;
    markActive();
    if (focused) find(`#results .card[data-version="${focused}"] a.open`)?.focus({ preventScroll: true });
    // Nobody has chosen yet: the document follows the new first.
    const first = links()[0];
    const shown = find("#document .document-head")?.dataset.version;
    if (!hasPicked && first && first.closest(".card").dataset.version !== shown) {
      htmx.ajax("GET", first.getAttribute("hx-get"), { target: "#document", swap: "innerHTML show:none" });
    }
  });

  document.addEventListener("htmx:sendError", () => showNotice("连接中断，恢复后自动继续。"));
  document.addEventListener("htmx:responseError", (event) => {
    if (!event.detail.xhr.getResponseHeader("HX-Retarget")) showNotice("系统出错，操作没有完成。请稍后重试。");
  });

  document.addEventListener("DOMContentLoaded", () => {
    if (!find(".columns")) return;
    if (matchMedia("(max-width: 720px)").matches) {
      for (const details of findAll("[data-closed-when-narrow]")) details.open = false;
    }
    scrollToPassage();
    markActive();
  });
})();
