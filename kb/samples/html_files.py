"""Sample policies as pages saved from the invented city's site, with its menus, share bar and footer."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

PAGE = """<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="{charset}">
<title>{title}_政策文件_云岚市人民政府门户网站</title>
<meta name="SiteName" content="云岚市人民政府门户网站">
<meta name="ColumnName" content="规范性文件">
<style>body{{font-family:SimSun}} .nav li{{display:inline}}</style>
<script>var shareTitle = "{title}";
function doZoom(size) {{ document.getElementById("zoom").style.fontSize = size + "px"; }}</script>
</head>
<body>
<div class="header"><div class="top">无障碍浏览 | 长者专区 | 繁體 | 登录个人中心</div>
<ul class="nav"><li><a href="/">首页</a></li><li><a href="/zwgk/">政务公开</a></li>
<li><a href="/zwfw/">政务服务</a></li>
<li><a href="/hdjl/">互动交流</a></li><li><a href="/zjyl/">走进云岚</a></li></ul>
<form class="search"><input name="q" placeholder="请输入关键字"><button>搜索</button></form></div>
<div class="crumbs">当前位置：<a href="/">首页</a> &gt; <a href="/zwgk/">政务公开</a> &gt;
<a href="/zwgk/gfxwj/">规范性文件</a></div>
<div class="article">
<h1>{title}</h1>
<table class="info"><tr><td>发布机构：</td><td>{issuer}</td><td>发文字号：</td><td>{number}</td></tr>
<tr><td>成文日期：</td><td>{date}</td><td>信息分类：</td><td>规范性文件</td></tr></table>
<div class="tools">字号：<a href="javascript:doZoom(18)">大</a> <a href="javascript:doZoom(16)">中</a> \
<a href="javascript:doZoom(14)">小</a> <a href="javascript:window.print()">打印本页</a> \
<span class="share">分享到：<a>微信</a><a>微博</a></span></div>
<div class="content" id="zoom">
{body}
</div>
<div class="attachments"><a href="javascript:window.close()">关闭窗口</a></div>
<div class="related"><h3>相关解读</h3><ul><li><a href="#">一图读懂：{title}</a></li></ul></div>
</div>
<div class="footer"><p>主办：云岚市人民政府办公室　承办：云岚市大数据管理局</p>
<p>网站标识码：0000000000　云ICP备00000000号　联系我们　网站地图</p></div>
</body>
</html>
"""


def write_html(text: str, path: Path, encoding: str) -> None:
    """Write a sample text as a saved page in `encoding`."""
    title, *head, body = split_head(text)
    number, issuer, date = head
    charset = "gb2312" if encoding == "gb18030" else encoding
    page = PAGE.format(
        charset=charset, title=escape(title), number=number, issuer=issuer, date=date, body=render_body(body)
    )
    path.write_text(page, encoding=encoding)


def split_head(text: str) -> tuple[str, str, str, str, str]:
    """Title, 发文字号, issuer, date, and the rest; a regulation of the congress has a note in brackets."""
    head, body = text.split("\n\n", 1)
    title, *rest = head.splitlines()
    if len(rest) == 3:
        return title, rest[0], rest[1], rest[2], body
    note, number = rest
    found = re.search(r"\d+年\d+月\d+日", note)
    return title, number, "云岚市人民代表大会常务委员会", found[0] if found else "", f"{note}\n{body}"


def render_body(body: str) -> str:
    """Paragraphs and tables; a line that begins with `|` belongs to a table."""
    parts = re.findall(r"(?:^\|.*\n?)+|^[^|\n].*$", body, flags=re.M)
    return "\n".join(render_table(part) if part.startswith("|") else f"<p>{escape(part)}</p>" for part in parts)


def render_table(lines: str) -> str:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()]
    kept = [row for row in rows if not set("".join(row)) <= set("- ")]
    cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in kept)
    return "<table border='1'>\n" + "\n".join(f"<tr>{row}</tr>" for row in cells) + "\n</table>"
