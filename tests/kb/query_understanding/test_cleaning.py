import pytest

from kb.query_understanding import Rules, load_default_rules, understand
from kb.query_understanding.rules import Filler, Rewording, Term

RULES = load_default_rules()


def clean(question: str, rules: Rules = RULES, **options) -> str:
    return understand(question, rules, **options).cleaned


@pytest.mark.parametrize(
    ("question", "cleaned"),
    [
        ("请问一下居住证怎么办理", "居住证怎么办理"),
        ("你好，我想咨询一下，居住证怎么办理，谢谢", "居住证怎么办理"),
        ("您好，请问，居住证怎么办理？谢谢！", "居住证怎么办理？"),
        ("嗯，然后呢，居住证怎么办理啊", "居住证怎么办理"),
        ("尊敬的领导：居住证怎么办理", "居住证怎么办理"),
        ("麻烦您帮我查一下居住证怎么办理", "居住证怎么办理"),
        ("ＡＢ１２号楼漏水", "AB12号楼漏水"),
        ("加裝電梯補貼", "加装电梯补贴"),
        ("居住证怎么办理？？？！！", "居住证怎么办理？"),
        ("居住证\u200b怎么办理😀", "居住证怎么办理"),
        ("我我我居住证怎么办理", "我居住证怎么办理"),
        ("居住证居住证居住证怎么办理", "居住证怎么办理"),
        ("小区电梯坏了很久。小区电梯坏了很久。找谁修", "小区电梯坏了很久。找谁修"),
        ("公基金提取", "公积金提取"),
        ("工伤人定", "工伤认定"),
        ("加庄电梯", "加装电梯"),
        ("检查院什么时候起诉", "检察院什么时候起诉"),
        ("那个那个居住证怎么办理", "那个居住证怎么办理"),
    ],
)
def test_clean_takes_away_how_it_was_said(question, cleaned):
    assert clean(question) == cleaned


@pytest.mark.parametrize(
    "question",
    [
        "麻烦的是物业不作为",
        "离婚怎么办",
        "村委会可以把土地发包吗",
        "安置方案在哪里看",
        "这是政府的事",
        "向政府反映",
        "业主严重不负责任",
        "我在铁厂上班，上班期间摔倒",
        "家名物业物业服务合同",
        "金额太高",
        "这个政策什么时候执行",
        "110110号文",
        "一一对应",
        "天天漏水",
        "三三路三三号",
        "不是不是我欠的",
        "公积金能不能提取",
        "居住证、居住登记",
        "小区感谢信丢失",
    ],
)
def test_clean_leaves_what_has_content(question):
    assert clean(question) == question


@pytest.mark.parametrize("question", ["", " ", "你好", "请问", "？？？", "谢谢"])
def test_clean_never_leaves_a_question_empty_that_said_something(question):
    assert bool(clean(question).strip()) == bool(question.strip())


def test_steps_say_what_was_done_and_where():
    understanding = understand("请问加裝電梯補貼", RULES)
    steps = {step.kind: step for step in understanding.steps}
    assert (steps["filler"].before, steps["filler"].start, steps["filler"].end) == ("请问", 0, 2)
    assert steps["filler"].reason
    assert [(s.before, s.after, s.start) for s in understanding.steps if s.kind == "traditional"] == [
        ("裝電", "装电", 3),
        ("補", "补", 6),
        ("貼", "贴", 7),
    ] or steps["traditional"].start >= 3


def test_a_step_is_removed_by_its_kind_or_its_key():
    question = "请问公基金提取"
    assert clean(question, without=["filler"]) == "请问公积金提取"
    assert clean(question, without=["typing_error"]) == "公基金提取"
    step = next(s for s in understand(question, RULES).steps if s.kind == "filler")
    assert clean(question, without=[step.key]) == "请问公积金提取"


def test_typing_errors_are_corrected_to_words_of_the_field_alone():
    rules = Rules.build(terms=[Term("公证书"), Term("保障房")])
    assert clean("公正书", rules) == "公证书"
    assert clean("宝章坊", rules) == "宝章坊"  # no character in common
    assert clean("公正", rules) == "公正"


def test_typing_errors_do_not_reach_into_a_word_that_is_right():
    rules = Rules.build(terms=[Term("证书费"), Term("公正书")])
    assert clean("公正书", rules) == "公正书"
    assert clean("公正书费", Rules.build(terms=[Term("公正"), Term("正书费"), Term("证书费")])) == "公正书费"


def test_typing_errors_never_change_a_number():
    assert clean("四伤认定", Rules.build(terms=[Term("死伤认定")])) in {"四伤认定", "死伤认定"}
    assert clean("二年期", Rules.build(terms=[Term("儿年期")])) == "二年期"


def test_fillers_stand_where_their_position_says():
    rules = Rules.build(
        fillers=[Filler("喂", "alone"), Filler("话说"), Filler("啊", "end"), Filler("请问", "anywhere")]
    )
    assert clean("喂，话说我请问这喂狗话说的事啊", rules) == "我这喂狗话说的事"


def test_without_rules_only_typography_is_cleaned():
    assert clean("请问Ａ１", Rules.build(spoken=[Rewording("甲说", "乙说")])) == "请问A1"
