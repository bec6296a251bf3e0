"""Names of columns, JSON keys and labels, in Chinese and English, and the fields that they mean."""

from __future__ import annotations

import re

_NAMES = {
    "external_id": "id 编号 政策编号 文件编号 外部编号 唯一标识 externalid policyid docid",
    "url": "url 链接 网址 原文链接 文件链接 link 地址链接 来源网址",
    "title": "title 标题 题目 题名 名称 政策名称 文件名称 文件标题 政策标题 法规名称 事项名称 name subject 问题",
    "content": (
        "content 正文 内容 政策内容 文件内容 正文内容 全文 政策正文 政策全文 原文 body text "
        "通俗解答 解答 答案 答复 回答 answer"
    ),
    "document_number": "documentnumber docno docnumber 发文字号 文号 发文号 文件字号 字号 文件号",
    "issuer": (
        "issuer 发文机关 发布机构 发文单位 发布单位 发文部门 发布部门 发布机关 制定机关 颁布单位 印发机关 实施部门 "
        "agency publisher"
    ),
    "level": "level 层级 级别 效力级别 效力层级 政策级别",
    "region": "region 地区 区域 适用地区 适用区域 行政区划 area",
    "category": "category 分类 类别 主题分类 业务类别 政策分类 主题 topic",
    "issued_on": (
        "issuedon issuedate date publishdate pubdate "
        "成文日期 发文日期 印发日期 发布日期 公布日期 颁布日期 发文时间 发布时间"
    ),
    "effective_on": "effectiveon effectivedate 施行日期 实施日期 生效日期 执行日期 生效时间 施行时间 实施时间 开始日期",
    "expires_on": "expireson expirydate expiredate 失效日期 有效期至 截止日期 到期日期 终止日期 失效时间 有效期截止",
    "repealed_on": "repealedon repealdate 废止日期 废止时间",
}
_FIELDS = {name: field for field, names in _NAMES.items() for name in names.split()}
_NOT_SHOWN = {"序号", "no", "index", "类型", "type", "来源", "source", "set", "主题词", "状态", "status", "抓取时间"}
_NOT_SHOWN |= {"更新时间", "浏览次数", "关联文档", "备注", "remark", "tags"}
_ASIDE = re.compile(r"[（(\[【].*?[)）\]】]|[\s_\-/:：*·]+")


def field_of(name: object) -> str | None:
    """The field that a column's name means, or None. Remarks in brackets, spaces and case do not matter."""
    return _FIELDS.get(normalise_name(name))


def is_shown(name: object) -> bool:
    """Whether a column that is no field belongs into the text (咨询电话, 办理地点), not bookkeeping (序号)."""
    normalised = normalise_name(name)
    return bool(normalised) and normalised not in _NOT_SHOWN and normalised not in _FIELDS


def normalise_name(name: object) -> str:
    return _ASIDE.sub("", str(name or "")).casefold()
