"""Pages saved from government sites: the article without menus, share bars and footers; tables kept.

Own code and no extraction library: trafilatura 2.3 left the menus of a municipal site in (evaluation file
`gz_门特费用范围标准`), because they are plain links in plain blocks; their names and hidden boxes give them away.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import lxml.html
from lxml.etree import LxmlError
from lxml.html import HtmlElement

from kb.parsing.cleaning import clean_line
from kb.parsing.decoding import decode_text
from kb.parsing.fields import field_of
from kb.parsing.html_blocks import render_blocks
from kb.parsing.types import Draft, Extracted, ParseRefused, Source

_DECLARED = re.compile(rb"<meta[^>]+charset=[\"']?\s*([\w\-]+)", re.IGNORECASE)
_NO_TEXT = frozenset(
    {"script", "style", "noscript", "template", "iframe", "svg", "canvas", "object", "embed", "video", "audio"}
    | {"select", "button", "input", "textarea", "nav", "header", "footer", "aside", "link", "meta"}
    | {"head", "title"}
)
_NOISE = re.compile(
    r"(?:^|[\s_\-])(?:nav|navbar|menu|header|footer|foot|copyright|breadcrumb|crumb|share|social|toolbar|tools?|sidebar|"
    r"search|qrcode|ewm|print|related|relate|recommend|xgwz\w*|xgxz|pagination|pager|login|links|friendlink|position|"
    r"location|dqwz|wza|easybtn\w*|fontsize|comment|pinglun|jiathis|bdshare\w*|bshare\w*|weixin|wechat|popup|modal)"
    r"(?:[\s_\-\d]|$|box|bar|con\b|wrap|list)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_ARTICLE = re.compile(
    r"(?:^|\s)(?:article[-_]?(?:content|con|body|text|main|conter)?|content[-_]?(?:article|main|text|body)?|trs_editor|"
    r"view|zoom|zoomcon|ucap-content|pages_content|news[-_]?(?:content|con|text)|con(?:tent)?txt|detail[-_]?(?:content|con)|"
    r"wp_articlecontent|xxgk[-_]?content|nr|zw|text|main-?text|rich_media_content|info-?content|b12c)(?:\s|$)",
    re.IGNORECASE,
)
_SITE = re.compile(r"\s*[-_|–—]+\s*[^-_|–—]*(?:网|政府|门户|平台|网站|局|委)[^-_|–—]*$")
_META_TITLES = ("ArticleTitle", "og:title", "title")
_META_FIELDS = {"PubDate": "issued_on"}
_BOXES = frozenset(["body", "div", "form", "main", "article", "section", "center"])
_REPRINTED = re.compile(r"^[（(]转载[）)]\s*")
_LISTS = ("ul", "ol", "dl", "div", "p")
_ENOUGH = 0.6
_LABEL_END = re.compile(r"[：:\s]+$")


def parse_html(source: Source) -> Extracted:
    """One policy a page. Raises ParseRefused (corrupt) for what is no HTML."""
    declared = _DECLARED.search(source.data[:4096])
    page = _parse_page(decode_text(source.data, declared=declared[1].decode() if declared else ""))
    title = _find_title(page)
    stated = _read_meta(page) | _read_info_table(page)
    if _REPRINTED.match(title):  # then the page's 发布机构 is not who issued the policy
        title = _REPRINTED.sub("", title)
        stated.pop("issuer", None)
    _remove_noise(page)
    _remove_link_lists(page)
    text = render_blocks(find_article(page))
    return Extracted("html", (Draft(text, title, stated=stated),))


def find_article(page: HtmlElement) -> HtmlElement:
    """The box that holds the article: the innermost that still has most of the text outside links."""
    weights: dict[HtmlElement, int] = {}
    for element in reversed(list(page.iter("*"))):  # children before their parents
        own = "" if element.tag == "a" else (element.text or "")
        tails = "".join(child.tail or "" for child in element)
        weights[element] = _weight(own) + _weight(tails) + sum(weights.get(child, 0) for child in element)
    named = [element for element in weights if _is_article(element)]
    best = max(named, key=lambda element: weights[element], default=page)
    if weights[best] < _ENOUGH * weights[page]:
        best = page
    while heir := [child for child in best if child.tag in _BOXES and weights[child] > 0.9 * weights[best]]:
        best = heir[0]
    return best


def _weight(text: str) -> int:
    return len("".join(text.split()))


def _is_article(element: HtmlElement) -> bool:
    return any(_ARTICLE.search(element.get(name) or "") for name in ("class", "id"))


def _parse_page(text: str) -> HtmlElement:
    parser = lxml.html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True)
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text.replace("\x00", ""))
    try:
        page = lxml.html.document_fromstring(text, parser=parser)
    except (LxmlError, ValueError) as error:
        raise ParseRefused("corrupt", "网页内容无法读取，请在浏览器里重新另存为网页后再上传。") from error
    return page


def _find_title(page: HtmlElement) -> str:
    """The page's own statement of the article's title, else its `<h1>`, else `<title>` without the site's name."""
    for name in _META_TITLES:
        for meta in page.iter("meta"):
            if (meta.get("name") or meta.get("property") or "") == name and (meta.get("content") or "").strip():
                return clean_line(meta.get("content") or "")
    headings = [clean_line(heading.text_content()) for heading in page.iter("h1")]
    title = clean_line(page.findtext(".//title") or "")
    for heading in headings:
        if len(heading) >= 6 and (heading in title or len(headings) == 1):
            return heading
    return _SITE.sub("", title)


def _read_meta(page: HtmlElement) -> dict[str, str | date]:
    stated: dict[str, str | date] = {}
    for meta in page.iter("meta"):
        field = _META_FIELDS.get(meta.get("name") or "")
        if field and (meta.get("content") or "").strip():
            stated[field] = clean_line(meta.get("content") or "")
    return stated


def _read_info_table(page: HtmlElement) -> dict[str, str | date]:
    """The box of 索引号, 发布机构, 成文日期, 文号 above an article: cells of labels, each followed by its value."""
    stated: dict[str, str | date] = {}
    for cell in page.iter("td", "th", "dt", "li", "label", "strong", "span"):
        label = clean_line(cell.text_content())
        if not label.endswith(("：", ":")) or len(label) > 12:
            continue
        field = field_of(_LABEL_END.sub("", label))
        following = cell.getnext()
        if field and following is not None and field not in {"title", "content", "external_id", "url"}:
            value = clean_line(following.text_content())
            if value and len(value) <= 100:
                stated.setdefault(field, value)
    return stated


def _remove_noise(page: HtmlElement) -> None:
    _drop(page, lambda element: element.tag in _NO_TEXT or _is_hidden(element))
    most = _weight(page.text_content()) // 2
    # some sites put the whole page into a form, or call its body `search-page`
    _drop(page, lambda element: _is_noise(element) and _weight(element.text_content()) <= most)


def _drop(page: HtmlElement, is_unwanted: Callable[[HtmlElement], bool]) -> None:
    for element in list(page.iter("*")):
        if element.tag not in {"html", "body"} and element.getparent() is not None and is_unwanted(element):
            element.drop_tree()


def _remove_link_lists(page: HtmlElement) -> None:
    """Blocks of nothing but links, such as menus without a name; a list of attachments stays."""
    for element in [element for element in page.iter(*_LISTS) if element.getparent() is not None]:
        links = list(element.iter("a"))
        text = element.text_content()
        if len(links) > 1 and "附件" not in text and element.find(".//table") is None:
            outside = _weight(text) - sum(_weight(link.text_content()) for link in links)
            if outside <= 2 * len(links):
                element.drop_tree()


def _is_hidden(element: HtmlElement) -> bool:
    return bool(_HIDDEN.search(element.get("style") or "")) or element.get("hidden") is not None


def _is_noise(element: HtmlElement) -> bool:
    names = f"{element.get('class') or ''} {element.get('id') or ''}"
    return element.tag == "form" or (bool(_NOISE.search(names)) and not _is_article(element))
