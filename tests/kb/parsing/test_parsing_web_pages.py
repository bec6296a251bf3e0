"""HTML as government sites serve it: menus, share bars and footers go, the article and its tables stay."""

from __future__ import annotations

import time
from datetime import date

import pytest

from kb.parsing import ParsedDocument, parse_file

ARTICLE = """
<h1>云岚市人民政府办公室关于印发云岚市租房补贴办法的通知</h1>
<p style="text-align:center">云府办规〔2025〕8号</p>
<p>　　第一条&nbsp;<strong>符合条件</strong>的居民，<span>可以</span>申请补贴。<br>第二条 标准如下：</p>
<table border="1"><tbody>
<tr><th rowspan="2">对象</th><th colspan="2">金额</th></tr>
<tr><th>城区</th><th>县</th></tr>
<tr><td>老人</td><td><p>100 元</p></td><td>80 元</td></tr>
</tbody></table>
<p>第三条 本办法自2025年5月1日起施行，有效期3年。</p>
<p>云岚市人民政府办公室</p><p>2025年3月18日</p>
"""
PAGE = f"""<!DOCTYPE html><html><head><meta charset="utf-8">
<title>云岚市租房补贴办法 - 云岚市人民政府门户网站</title>
<style>p {{color: red}}</style><script>var menu = "首页";</script></head><body>
<div class="top-nav"><ul><li><a href="/">首页</a></li><li><a href="/a">政务公开</a></li></ul></div>
<div id="breadcrumb">当前位置：首页 &gt; 政策</div>
<div class="wrap"><div class="left"><a href="/1">相关链接一</a><a href="/2">相关链接二</a></div>
<div class="main">{ARTICLE}</div></div>
<div class="share-box">分享到：微信 微博</div>
<div style="display: none">第一条 隐藏的全文</div>
<form><input value="搜索"><button>搜索本站</button></form>
<footer>版权所有：云岚市人民政府办公室</footer>
<div class="footer2025">网站标识码：0000000000</div>
<div class="popup" id="login-modal">请登录</div>
</body></html>"""
EXPECTED = [
    "云岚市人民政府办公室关于印发云岚市租房补贴办法的通知",
    "云府办规〔2025〕8号",
    "第一条 符合条件的居民，可以申请补贴。",
    "第二条 标准如下：",
    "| 对象 | 金额 |  |",
    "| --- | --- | --- |",
    "| 对象 | 城区 | 县 |",
    "| 老人 | 100 元 | 80 元 |",
    "第三条 本办法自2025年5月1日起施行，有效期3年。",
    "云岚市人民政府办公室",
    "2025年3月18日",
]


def parse_page(page: str, encoding: str = "utf-8") -> ParsedDocument:
    return parse_file("a.html", page.encode(encoding)).documents[0]


def test_page_keeps_the_article_only() -> None:
    assert parse_page(PAGE).text.split("\n") == EXPECTED


def test_page_gives_title_and_metadata() -> None:
    document = parse_page(PAGE)
    assert document.title == "云岚市人民政府办公室关于印发云岚市租房补贴办法的通知"
    metadata = document.metadata
    assert (metadata.document_number, metadata.issuer) == ("云府办规〔2025〕8号", "云岚市人民政府办公室")
    assert (metadata.issued_on, metadata.effective_on) == (date(2025, 3, 18), date(2025, 5, 1))
    assert metadata.expires_on == date(2028, 4, 30)


@pytest.mark.parametrize("class_name", ["article-content", "TRS_Editor", "zoom", "pages_content", "xyz"])
def test_page_finds_the_article_by_name_or_by_weight(class_name: str) -> None:
    document = parse_page(PAGE.replace('class="main"', f'class="{class_name}"'))
    assert document.text.split("\n") == EXPECTED


@pytest.mark.parametrize(("declared", "encoding"), [("gb2312", "gb18030"), ("GBK", "gb18030"), ("utf-8", "gb18030")])
def test_page_is_read_in_its_encoding(declared: str, encoding: str) -> None:
    page = PAGE.replace('charset="utf-8"', f'http-equiv="Content-Type" content="text/html; charset={declared}"')
    assert parse_page(page, encoding).text.split("\n") == EXPECTED


def test_page_inside_a_form_is_read() -> None:
    page = (
        PAGE.replace('"首页";', f'"{"首页" * 5000}";')
        .replace('<div class="wrap">', '<form id="form1"><div class="wrap">')
        .replace("<footer>", "</form><footer>")
    )
    assert parse_page(page.replace("<form><input", "<p><input")).text.split("\n")[:11] == EXPECTED


def test_page_states_its_title_in_a_meta_tag() -> None:
    page = PAGE.replace("<style>", '<meta name="ArticleTitle" content="（转载）云岚市租房补贴办法"><style>')
    assert parse_page(page).title == "云岚市租房补贴办法"


def test_page_title_loses_the_name_of_the_site() -> None:
    assert parse_page(PAGE.replace("<h1>", "<p>").replace("</h1>", "</p>")).title == "云岚市租房补贴办法"


def test_page_states_metadata_in_its_information_table() -> None:
    table = (
        "<table><tr><td>索引号：</td><td>1</td><td>发布机构：</td><td>云岚市住房局</td></tr>"
        "<tr><td>成文日期：</td><td>2025-03-20</td><td>文 号：</td><td>云住建〔2025〕3号</td></tr></table>"
    )
    metadata = parse_page(PAGE.replace('<div class="wrap">', f"{table}<div class='wrap'>")).metadata
    assert metadata.issuer == "云岚市住房局"
    assert metadata.document_number == "云住建〔2025〕3号"
    assert metadata.issued_on == date(2025, 3, 20)


def test_table_that_only_lays_the_page_out_is_no_table() -> None:
    page = "<html><body><table><tr><td><p>第一条 甲。</p><p>第二条 乙。</p></td></tr></table></body></html>"
    assert parse_page(page).text == "第一条 甲。\n第二条 乙。"


def test_table_around_a_table_lays_the_page_out() -> None:
    inner = "<table><tr><td>甲</td><td>乙</td></tr><tr><td>1</td><td>2</td></tr></table>"
    outer = f"<table><tr><td>说明</td><td>{inner}</td></tr><tr><td>注</td><td>完</td></tr></table>"
    page = f"<html><body>{outer}</body></html>"
    assert parse_page(page).text.split("\n") == ["说明", "| 甲 | 乙 |", "| --- | --- |", "| 1 | 2 |", "注", "完"]


@pytest.mark.parametrize("span", ["0", "-1", "x", "99999999"])
def test_table_with_a_senseless_span_is_read(span: str) -> None:
    page = (
        f"<html><body><table><tr><td rowspan='{span}'>甲</td><td>乙</td></tr><tr><td>丙</td></tr></table></body></html>"
    )
    assert "| 甲 | 乙 |" in parse_page(page).text


def test_page_that_is_nested_deep_is_read() -> None:
    page = f"<html><body>{'<div>' * 1500}第一条 甲。{'</div>' * 1500}</body></html>"
    assert parse_page(page).text == "第一条 甲。"


def test_page_of_huge_lines_is_read_in_seconds() -> None:
    started = time.perf_counter()
    rows = "".join(f"<tr><td>病种{number}</td><td>{number} 元</td></tr>" for number in range(20_000))
    document = parse_page(f"<html><body><table>{rows}</table></body></html>")
    assert document.text.count("\n") == 20_000
    assert time.perf_counter() - started < 20
