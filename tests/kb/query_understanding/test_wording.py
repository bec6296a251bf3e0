import pytest

from kb.query_understanding import Rules, load_default_rules, understand
from kb.query_understanding.rules import Rewording, Subject, Synonym, Term

RULES = load_default_rules()


def rewrite(question: str, kind: str, rules: Rules = RULES, **options) -> str:
    """The rewrite of that kind, or the cleaned question where there is none."""
    understanding = understand(question, rules, **options)
    return next((v.text for v in understanding.variants if v.kind == kind), understanding.cleaned)


@pytest.mark.parametrize(
    ("question", "kind", "expected"),
    [
        ("楼上天天漏水物业踢皮球", "expanded", "推诿"),
        ("不给办居住证", "synonyms", "不予办理"),
        ("想弄个证", "synonyms", "申领证件"),
        ("老板不给发工资", "synonyms", "用人单位不支付"),
        ("申请公租房要什么材料", "expanded", "公共租赁住房"),
        ("社保断了", "expanded", "社会保险"),
        ("加装电梯补贴多少钱", "policy_form", "补贴标准"),
        ("居住证去哪办", "policy_form", "办理地点"),
        ("外地看病报销多少", "policy_form", "报销比例"),
        ("公积金能不能提取", "policy_form", "是否可以"),
        ("楼上漏水", "policy_form", "如何处理？"),
        ("加装电梯要交钱吗", "expanded", "业主："),
    ],
)
def test_rewrites_say_it_as_documents_do(question, kind, expected):
    assert expected in rewrite(question, kind)


def test_each_rewrite_is_explained_and_says_something_new():
    understanding = understand("公租房漏水物业不给修怎么办", RULES)
    texts = [understanding.cleaned, *(variant.text for variant in understanding.variants)]
    kinds = [variant.kind for variant in understanding.variants]
    assert list(dict.fromkeys(kinds)) == ["synonyms", "expanded", "policy_form"]
    assert len(texts) == len(set(texts))
    assert all("→" in variant.explanation for variant in understanding.variants)


def test_further_synonyms_are_searched_in_rewrites_of_their_own():
    weighed = [("共用部位", 0.9), ("共有部分", 0.7), ("公区", 0.6), ("公地", 0.4)]
    rules = Rules.build(synonyms=[Synonym("公共部位", other, weight) for other, weight in weighed])
    variants = understand("公共部位漏水", rules).variants
    texts = [variant.text for variant in variants if variant.kind == "synonyms"]
    assert texts == ["共用部位漏水", "共有部分漏水", "公区漏水"]


def test_a_question_in_official_words_needs_no_rewrite():
    assert understand("何谓行纪人？", Rules()).variants == ()


def test_wording_leaves_asking_with_a_negation_alone():
    rules = Rules.build(spoken=[Rewording("不能办", "不予办理")])
    assert rewrite("能不能办证", "synonyms", rules) == "能不能办证"
    assert rewrite("窗口不能办证", "synonyms", rules) == "窗口不予办理证"


def test_wording_does_not_expand_what_is_in_full_already():
    rules = Rules.build(abbreviations=[Rewording("公积金", "住房公积金")])
    assert rewrite("住房公积金提取", "expanded", rules) == "住房公积金提取"
    assert rewrite("公积金提取", "expanded", rules) == "住房公积金提取"


def test_a_longer_word_keeps_a_shorter_one_inside_it():
    rules = Rules.build(abbreviations=[Rewording("社保", "社会保险")], terms=[Term("社保卡")])
    assert rewrite("办社保卡", "expanded", rules) == "办社保卡"
    assert rewrite("交社保", "expanded", rules) == "交社会保险"


def test_a_synonym_does_not_bring_back_what_was_said():
    rules = Rules.build(spoken=[Rewording("漏水", "渗漏")], synonyms=[Synonym("渗漏", "漏水")])
    assert rewrite("屋顶漏水", "synonyms", rules) == "屋顶渗漏"


def test_a_weak_synonym_is_not_used():
    assert rewrite("孤儿", "synonyms", Rules.build(synonyms=[Synonym("孤儿", "困境儿童", 0.4)])) == "孤儿"


def test_subjects_are_named_once_and_only_where_they_are_missing():
    rules = Rules.build(subjects=[Subject("漏水", "物业服务企业"), Subject("渗漏", "物业服务企业")])
    two = Rules.build(subjects=[Subject("辞退", "用人单位、劳动者"), Subject("欠薪", "用人单位")])
    assert rewrite("辞退欠薪", "expanded", two) == "用人单位、劳动者：辞退欠薪"
    assert rewrite("漏水渗漏", "expanded", rules) == "物业服务企业：漏水渗漏"
    assert rewrite("物业服务企业不管漏水", "expanded", rules) == "物业服务企业不管漏水"


def test_steps_of_rewrites_can_be_removed():
    assert "住房公积金" in rewrite("公积金提取", "expanded")
    assert "住房公积金" not in rewrite("公积金提取", "expanded", without=["abbreviation", "spoken"])
    assert "住房公积金" not in rewrite("公积金提取", "expanded", without=["abbreviation:公积金提取"])
