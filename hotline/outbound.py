"""What of a question may be sent to another host: masked, and without what still points at a person. Pure.

A name that nothing announces (a bare “张三”) is not recognised: the host should stand in the office's own network.
"""

from __future__ import annotations

import re

from hotline.masking import mask_personal_data

_DIGITS = "0-9A-Za-z一二三四五六七八九十百"
_SURNAME = (
    "(?:欧阳|司马|上官|诸葛|司徒|[王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任"
    "沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤])"
)
_UNIT = f"[{_DIGITS}]{{1,4}}(?:栋|幢|座|号楼|号院|单元|弄)[ \\-]?"
_HIDDEN = (
    (re.compile(r"[0-9A-Za-z]{0,4}\*{4}(?:@[A-Za-z0-9.\-]+|[0-9Xx]{0,4})"), ""),
    (
        re.compile(rf"((?:我|本人|名字?)叫做?|姓名[是为:： ]{{0,2}}|联系人[是为:： ]{{0,2}}){_SURNAME}[一-龥]{{1,2}}"),
        r"\1某人",
    ),
    (re.compile(rf"{_SURNAME}[一-龥]{{0,2}}(先生|女士|小姐|师傅|大爷|大妈|阿姨)"), r"某\1"),
    (
        re.compile(rf"(?:{_UNIT}){{2,3}}(?:[{_DIGITS}]{{1,5}}(?:室|房|号|户)?)?|{_UNIT}[0-9]{{2,5}}(?:室|房|号|户)?"),
        "某户",
    ),
    (re.compile(rf"(?<=[路街道巷])[{_DIGITS}]{{1,5}}号(?![线楼])"), "某号"),
    (
        re.compile(r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][·• ]?[A-HJ-NP-Z0-9]{5,6}"),
        "某车牌",
    ),
    (re.compile(r"(?i)(qq|微信|wechat|vx)(?:号码?)?[是为:： ]{0,3}[a-z0-9_\-]{5,20}"), r"\1某号"),
)


def prepare_for_sending(text: str) -> str:
    """Masked, the masks taken out, and named people, homes, number plates and accounts made nameless."""
    text = mask_personal_data(text)
    for pattern, replacement in _HIDDEN:
        text = pattern.sub(replacement, text)
    return text.strip()
