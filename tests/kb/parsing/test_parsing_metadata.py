"""What is read from a policy's text: title, number, issuer, level and region, and its days."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.parsing.dates import add_years, chinese_number, read_date
from kb.parsing.document_numbers import find_document_number, normalise_document_number
from kb.parsing.fields import field_of, is_shown
from kb.parsing.issuers import find_issuer, find_level_and_region, normalise_level
from kb.parsing.metadata import complete_metadata, read_labels
from kb.parsing.titles import find_title
from kb.parsing.validity import find_issue_date, find_repeals, read_validity

TITLES = {
    "云岚市人民政府文件\n云府规〔2025〕8号\n云岚市人民政府关于印发\n云岚市租房办法的通知\n各区：": (
        "云岚市人民政府关于印发云岚市租房办法的通知"
    ),
    "云岚市租房补贴办法\n（试行）\n第一条 甲。": "云岚市租房补贴办法（试行）",
    "云岚市租房补贴办法\n（2025年1月2日公布）\n第一条 甲。": "云岚市租房补贴办法",
    "云岚市养犬管理条例（2022年修订）\n目录\n第一章 总则": "云岚市养犬管理条例（2022年修订）",
    "《云岚市租房补贴办法》\n第一条 甲。": "云岚市租房补贴办法",
    "关于转发《云岚市租房\n补贴办法》的通知\n各区：": "关于转发《云岚市租房补贴办法》的通知",
    "云岚市住房局\n云岚市财政局\n关于调整租房补贴的通知\n各区：": "云岚市住房局 云岚市财政局关于调整租房补贴的通知",
    "云 岚 市 住 房 局 公 告\n2025年第3号\n甲。": "云岚市住房局公告",
    "索引号：12345\n发布机构：云岚市住房局\n云岚市租房补贴办法\n第一条 甲。": "云岚市租房补贴办法",
    "租房补贴这样领更快\n市民李女士近日领到了补贴。": "租房补贴这样领更快",
    "第一条 甲。\n第二条 乙。": "",
    "14(I)\n12\n": "",
    "云岚市人民政府\n2025年1月2日\n": "",
    "": "",
}


@pytest.mark.parametrize(("text", "title"), TITLES.items())
def test_find_title(text: str, title: str) -> None:
    assert find_title(text) == title


NUMBERS = {
    "云府规〔2025〕8号": "云府规〔2025〕8号",
    "云府规 [2025] 08 号": "云府规〔2025〕8号",
    "云府规(2025)第8号": "云府规〔2025〕8号",
    "发文字号：云府规﹝2025﹞8号": "云府规〔2025〕8号",
    "云府规【2025】8号                签发人：王某": "云府规〔2025〕8号",
    "云岚市人民政府令\n甲\n第37号": "",
    "云岚市人民政府令 第 37 号": "云岚市人民政府令第37号",
    "中华人民共和国国务院令\n第746号": "",
    "（云岚市住房局公告2025年第3号）": "云岚市住房局公告2025年第3号",
    "云岚市住房局公告\n2025年第3号\n甲。": "2025年第3号",
    "云府函〔2020〕17号 云岚市人民政府 关于租房补贴的通知 各区：": "云府函〔2020〕17号",
    "云岚市租房补贴办法 云府〔2025〕9号 各区：": "云府〔2025〕9号",
    "根据《云岚市住房条例》（云府〔2019〕3号）规定，制定本办法。": "",
    "根据云府〔2019〕3号，制定本办法。": "",
    "关于租房补贴的通知 云府〔2025〕9号": "云府〔2025〕9号",
    "": "",
}


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_find_document_number(text: str, number: str) -> None:
    assert find_document_number(text) == number


@pytest.mark.parametrize(
    ("stated", "number"),
    [("云府规[2025] 8 号", "云府规〔2025〕8号"), ("国务院令 第746号", "国务院令第746号"), ("无", "无"), ("", "")],
)
def test_normalise_document_number(stated: str, number: str) -> None:
    assert normalise_document_number(stated) == number


@pytest.mark.parametrize(
    ("title", "text", "number", "issuer"),
    [
        ("云岚市人民政府办公室关于印发租房补贴办法的通知", "", "", "云岚市人民政府办公室"),
        ("云岚市住房局 云岚市财政局关于调整租房补贴的通知", "", "", "云岚市住房局 云岚市财政局"),
        ("云岚市住房局、云岚市财政局关于调整租房补贴的通知", "", "", "云岚市住房局、云岚市财政局"),
        ("租房补贴办法", "甲。\n云岚市住房局\n云 岚 市 财 政 局\n2025年3月18日\n", "", "云岚市住房局 云岚市财政局"),
        ("租房补贴办法", "甲。\n云岚市住房局　云岚市财政局\n二〇二五年三月十八日\n", "", "云岚市住房局 云岚市财政局"),
        ("养犬管理条例", "甲。", "云岚市人民代表大会常务委员会公告第5号", "云岚市人民代表大会常务委员会"),
        ("租房补贴办法", "甲。\n2025年3月18日\n", "云府〔2025〕1号", ""),
    ],
)
def test_find_issuer(title: str, text: str, number: str, issuer: str) -> None:
    assert find_issuer(title, text, number) == issuer


@pytest.mark.parametrize(
    ("issuer", "title", "expected"),
    [
        ("国务院办公厅", "", ("national", "全国")),
        ("商务部 中国银行", "", ("national", "全国")),
        ("国家税务总局", "国家税务总局关于深圳市税务局有关事项的公告", ("national", "全国")),
        ("", "国家税务总局关于深圳市税务局有关事项的公告", ("national", "全国")),
        ("国家税务总局深圳市税务局", "", ("city", "深圳市")),
        ("", "国家税务总局广东省税务局关于优化办税的通告", ("province", "广东省")),
        ("中国人民银行北京市分行", "", ("province", "北京市")),
        ("", "中华人民共和国传染病防治法", ("national", "全国")),
        ("广东省人民政府", "", ("province", "广东省")),
        ("北京市人民政府办公厅", "", ("province", "北京市")),
        ("北京市朝阳区人民政府", "", ("district", "北京市朝阳区")),
        ("内蒙古自治区人民政府", "", ("province", "内蒙古自治区")),
        ("云岚市住房局", "", ("city", "云岚市")),
        ("云岚市望江区人民政府", "", ("district", "云岚市望江区")),
        ("望江区人民政府办公室", "", ("district", "望江区")),
        ("云岚市望江区天园街道办事处", "", ("street", "云岚市望江区天园街道")),
        ("", "《云岚市租房补贴办法》", ("city", "云岚市")),
        ("", "租房补贴办法", ("", "")),
    ],
)
def test_find_level_and_region(issuer: str, title: str, expected: tuple[str, str]) -> None:
    assert find_level_and_region(issuer, title) == expected


@pytest.mark.parametrize(
    ("stated", "level"),
    [("国家级", "national"), ("City", "city"), ("区县", "district"), ("司法解释", "national"), ("其他", ""), ("", "")],
)
def test_normalise_level(stated: str, level: str) -> None:
    assert normalise_level(stated) == level


ISSUED = date(2025, 3, 18)
SIGNED = "\n云岚市住房局\n2025年3月18日\n"
VALIDITIES = {
    "none": ("甲。", (None, None, None)),
    "named day": (f"本办法自2025年5月1日起施行。{SIGNED}", (ISSUED, date(2025, 5, 1), None)),
    "day of issue": (f"本通知自印发之日起施行。{SIGNED}", (ISSUED, ISSUED, None)),
    "thirty days later": (f"本办法自发布之日起30日后施行。{SIGNED}", (ISSUED, date(2025, 4, 17), None)),
    "alone in its article": (f"第九条 自2025年5月1日起施行。{SIGNED}", (ISSUED, date(2025, 5, 1), None)),
    "order": ("《办法》已经通过，现予公布，自2025年5月1日起施行。", (None, date(2025, 5, 1), None)),
    "term": ("本办法自2025年5月1日起施行，有效期5年。", (None, date(2025, 5, 1), date(2030, 4, 30))),
    "term in words": ("本细则自2025年5月1日起施行，有效期为三年。", (None, date(2025, 5, 1), date(2028, 4, 30))),
    "term in months": ("本通知自2025年5月1日起执行，有效期18个月。", (None, date(2025, 5, 1), date(2026, 10, 31))),
    "trial": (f"本办法自印发之日起施行，试行期两年。{SIGNED}", (ISSUED, ISSUED, date(2027, 3, 17))),
    "term of its own": (f"本通知自印发之日起实施。本通知有效期1年。{SIGNED}", (ISSUED, ISSUED, date(2026, 3, 17))),
    "end": ("本办法自2025年5月1日起施行，有效期至2026年12月31日。", (None, date(2025, 5, 1), date(2026, 12, 31))),
    "Chinese numerals": (
        "本办法自二〇二五年五月一日起施行，有效期至二〇二六年十二月三十一日。",
        (None, date(2025, 5, 1), date(2026, 12, 31)),
    ),
    "spaces": ("本办法自 2025 年 5 月 1 日起施行，有效期 5 年。", (None, date(2025, 5, 1), date(2030, 4, 30))),
    "licence": (f"备案有效期为六个月。许可证有效期5年。本办法自印发之日起施行。{SIGNED}", (ISSUED, ISSUED, None)),
    "measure": (
        f"缓缴政策的其他规定不变，养老金自2025年5月1日起执行新标准，补贴有效期6个月。{SIGNED}",
        (ISSUED, None, None),
    ),
    "another policy": ("《旧办法》自2020年1月1日起施行，有效期5年。", (None, None, None)),
    "no such day": ("本办法自2025年2月30日起施行。", (None, None, None)),
    "adoption": (
        "云岚市养犬条例\n（2022年8月26日人大常委会第9次会议通过 2024年1月5日修订）\n本条例自2022年12月1日起施行。",
        (date(2024, 1, 5), date(2022, 12, 1), None),
    ),
    "adoption that says from when": (
        "某解释\n2019年6月3日 审判委员会通过 2019年11月1日 施行\n第一条 甲。",
        (date(2019, 6, 3), date(2019, 11, 1), None),
    ),
    "one line": ("通知 各区： 甲。 云岚市住房局 2025年3月18日 附件 乙。", (ISSUED, None, None)),
    "day in a sentence": ("2019年1月1日起全面施行的税法，甲。", (None, None, None)),
}


@pytest.mark.parametrize(("text", "expected"), VALIDITIES.values(), ids=VALIDITIES.keys())
def test_read_validity(text: str, expected: tuple[date | None, date | None, date | None]) -> None:
    validity = read_validity(text)
    assert (validity.issued_on, validity.effective_on, validity.expires_on) == expected


def test_terms_count_from_what_the_file_states() -> None:
    validity = read_validity("本办法自印发之日起施行，有效期5年。", issued_on=date(2024, 2, 29))
    assert (validity.effective_on, validity.expires_on) == (date(2024, 2, 29), date(2029, 2, 27))


def test_a_policy_that_says_of_itself_that_it_is_repealed() -> None:
    assert read_validity("（本文件已于2024年6月1日废止）\n云岚市租房补贴办法").repealed_on == date(2024, 6, 1)
    assert read_validity("《旧办法》于2024年6月1日废止。").repealed_on is None


def test_find_repeals_names_what_is_repealed_with_it() -> None:
    text = (
        "《云岚市旧办法》（云府〔2017〕29号）、《云岚市老规定》同时废止。\n《云岚市住房条例》另有规定的除外。\n"
        "《关于印发〈甲办法〉的通知》自本办法施行之日起废止。"
    )
    assert find_repeals(text) == (
        "《云岚市旧办法》（云府〔2017〕29号）",
        "《云岚市老规定》",
        "《关于印发〈甲办法〉的通知》",
    )
    assert find_repeals("甲。") == ()


def test_find_issue_date_does_not_take_that_of_an_attachment() -> None:
    letter = "甲" * 120 + "。\n云岚市住房局\n2025年3月18日\n附件1\n申请表\n2020年1月1日\n"
    assert find_issue_date(letter) == ISSUED


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2025-03-18", ISSUED),
        ("2025/3/18 10:20", ISSUED),
        ("2025.03.18", ISSUED),
        ("20250318", ISSUED),
        ("2025年3月18日", ISSUED),
        ("二○二五年三月十八日", ISSUED),
        (datetime(2025, 3, 18, 9), ISSUED),  # noqa: DTZ001 - cells have no zone
        (ISSUED, ISSUED),
        ("2025-13-01", None),
        ("长期", None),
        ("", None),
        (None, None),
    ],
)
def test_read_date(value: object, day: date | None) -> None:
    assert read_date(value) == day


@given(st.dates(date(1950, 1, 1), date(2090, 12, 31)))
def test_read_date_reads_back_what_is_written(day: date) -> None:
    assert read_date(f"{day.year}年{day.month}月{day.day}日") == read_date(day.isoformat()) == day


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("十", 10), ("十五", 15), ("三十", 30), ("二十一", 21), ("五", 5)]
)
def test_chinese_number(text: str, number: int) -> None:
    assert chinese_number(text) == number


def test_add_years_keeps_to_the_calendar() -> None:
    assert add_years(date(2024, 2, 29), 1) == date(2025, 2, 28)
    assert add_years(date(2025, 8, 31), 0, 6) == date(2026, 2, 28)


def test_labels_at_the_head_of_a_text_are_read() -> None:
    text = "发 文 机 关：云岚市住房局\n成文日期： 2025-03-18\n咨询电话：12345\n主题分类：住房\n第一条 甲。"
    assert read_labels(text) == {"issuer": "云岚市住房局", "issued_on": "2025-03-18", "category": "住房"}


def test_what_is_stated_wins_over_what_is_read() -> None:
    text = "云府〔2025〕1号\n本办法自2025年5月1日起施行，有效期5年。\n云岚市住房局\n2025年3月18日"
    stated: dict[str, str | date] = {
        "issuer": "云岚市人民政府",
        "level": "省级",
        "expires_on": "2026-01-01",
        "region": "全省",
    }
    metadata, doubts = complete_metadata("租房补贴办法", text, stated)
    assert (metadata.issuer, metadata.level, metadata.region) == ("云岚市人民政府", "province", "全省")
    assert (metadata.document_number, metadata.issued_on) == ("云府〔2025〕1号", ISSUED)
    assert (metadata.effective_on, metadata.expires_on) == (date(2025, 5, 1), date(2026, 1, 1))
    assert doubts == ()


def test_level_follows_from_a_stated_region() -> None:
    metadata, _ = complete_metadata("租房补贴申领", "实施部门：住房局\n区域：广东省\n甲。", {})
    assert (metadata.issuer, metadata.level, metadata.region) == ("住房局", "province", "广东省")


def test_days_that_contradict_each_other_are_pointed_out() -> None:
    stated: dict[str, str | date] = {"effective_on": date(2025, 5, 1), "expires_on": date(2024, 1, 1)}
    assert complete_metadata("甲办法", "乙。", stated)[1] == ("失效日期早于施行日期，请核对。",)


@pytest.mark.parametrize(
    ("name", "field"),
    [("标 题", "title"), ("通俗解答(5段标准)", "content"), ("Doc_No", "document_number"), ("序号", None), (None, None)],
)
def test_field_of(name: object, field: str | None) -> None:
    assert field_of(name) == field


@pytest.mark.parametrize(
    ("name", "shown"), [("咨询电话", True), ("序号", False), ("正文", False), ("", False), (None, False)]
)
def test_is_shown(name: object, shown: bool) -> None:
    assert is_shown(name) is shown
