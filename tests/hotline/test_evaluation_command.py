"""`evaluate` and `train_lexical_reranker` on a small town's policies."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from hotline.evaluation import corpus as corpus_module
from hotline.evaluation.metrics import MEASURES
from reranking.lexical_model import load_model
from reranking.types import Candidate
from tests.hotline.conftest import FakeReranker

TOPICS = (
    ("物业管理", "楼上漏水", "物业服务企业应当自接到报修之日起两日内到场查明原因"),
    ("停车管理", "占用消防通道停车", "由消防救援机构责令改正，处五百元罚款"),
    ("供热用热", "室内温度不够", "低于十八摄氏度的，应当退还当日热费"),
    ("养犬管理", "邻居的狗叫扰民", "养犬人应当采取措施制止犬吠"),
    ("公共租赁住房", "申请公租房", "应当向户籍所在地街道办事处提交收入证明"),
    ("城市供水", "自来水停水", "应当提前二十四小时公告停水时间"),
    ("电梯安全", "电梯困人", "维护保养单位应当在三十分钟内到达现场"),
    ("殡葬服务", "火化费用减免", "低保对象免收遗体火化费"),
    ("托育服务", "托育机构备案", "应当在登记之日起三十日内备案"),
    ("噪声污染防治", "夜间施工噪声", "夜间不得进行产生噪声的建筑施工作业"),
    ("燃气管理", "燃气泄漏", "燃气经营者应当立即组织抢修"),
    ("出租汽车", "出租车拒载", "处二百元以上五百元以下罚款"),
)

pytestmark = pytest.mark.django_db  # the live dictionaries


@pytest.fixture
def town(tmp_path: Path) -> dict[str, Path]:
    documents = [
        {
            "id": f"d{number}",
            "title": f"云岚市{title}办法",
            "content": f"第一条 为规范{title}，制定本办法。\n第二条 {matter}的，{rule}。\n第三条 自发布之日起施行。",
            "set": "town",
        }
        for number, (title, matter, rule) in enumerate(TOPICS)
    ]
    questions = [
        {
            "qid": f"q{number}-{way}",
            "question": wording.format(matter),
            "doc_ids": [f"d{number}"],
            "answer": rule,
            "set": name,
        }
        for number, (_, matter, rule) in enumerate(TOPICS)
        for way, (name, wording) in enumerate((("plain", "{}怎么办？"), ("lay", "请问{}找谁，多久能解决")))
    ]
    return {"documents": write(tmp_path / "docs.jsonl", documents), "queries": write(tmp_path / "q.jsonl", questions)}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def evaluate(town: dict[str, Path], **options: Any) -> tuple[str, dict[str, Any]]:
    output = StringIO()
    call_command("evaluate", **town, json=True, stdout=output, stderr=StringIO(), **options)
    text, last = output.getvalue().rstrip().rsplit("\n", 1)
    return text, json.loads(last)


def test_last_line_is_json_with_every_figure(town: dict[str, Path]) -> None:
    text, report = evaluate(town)

    assert set(report["sets"]) == {"all", "plain", "lay"}
    whole = report["sets"]["all"]
    assert whole["queries"] == len(TOPICS) * 2
    assert set(whole["first_stage"]) == set(whole["reranked"]) == set(MEASURES)
    assert set(whole["review"]) == {"sent", "top1_of_rest"}
    assert set(whole["highlight"]) == {"best", "three_best", "first_passage"}
    assert set(report["milliseconds"]) >= {"total", "first_stage", "rerank", "highlight"}
    assert set(report["milliseconds"]["total"]) == {"median", "p95"}
    assert "recall@50" in text
    assert "不足 100 个问题" in text


def test_easy_questions_are_answered(town: dict[str, Path]) -> None:
    _, report = evaluate(town)

    whole = report["sets"]["all"]
    assert whole["first_stage"]["recall@50"] == 100.0
    assert whole["reranked"]["top1"] > 90.0
    assert whole["highlight"]["three_best"] > 90.0
    assert whole["highlight"]["first_passage"] == 100.0


def test_machine_check_says_how_many_it_settles_and_how_many_rightly(
    town: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader whose small lead grows when it is asked again on fuller text."""
    calls: dict[str, int] = {}

    def score(query: str, candidate: Candidate) -> float:
        seen = calls[candidate.id] = calls.get(candidate.id, 0) + 1
        lead = 0.1 if seen == 1 else 5.0
        return 1.0 + lead * (candidate.title == f"云岚市{TOPICS[0][0]}办法")

    fake = FakeReranker(score=score, calibrated=True)
    monkeypatch.setattr("hotline.management.commands.evaluate.get_reranker", lambda: fake)
    text, report = evaluate(town, reranker="remote", limit=1)
    check = report["machine_check"]

    assert check == {"sent": 1, "checked": 1, "settled": 1, "settled_rightly": 100.0}
    assert "机器校验：送复核 1 个" in text


def test_lexical_reranker_settles_nothing(town: dict[str, Path]) -> None:
    _, report = evaluate(town)

    assert report["machine_check"]["checked"] == 0


def test_without_reranker_the_first_stage_stands_and_all_is_reviewed(town: dict[str, Path]) -> None:
    _, report = evaluate(town, reranker="none")

    whole = report["sets"]["all"]
    assert whole["reranked"] == whole["first_stage"]
    assert whole["review"] == {"sent": 100.0, "top1_of_rest": None}


@pytest.mark.parametrize("split", ["train_half", "unseen_documents"])
def test_every_question_is_measured_by_a_model_that_has_not_seen_it(town: dict[str, Path], split: str) -> None:
    _, report = evaluate(town, **{split: True})

    assert report["sets"]["all"]["queries"] == len(TOPICS) * 2
    assert report["sets"]["all"]["reranked"]["top1"] > 70.0


def test_only_so_many_questions_are_asked(town: dict[str, Path]) -> None:
    _, report = evaluate(town, limit=3)

    assert report["sets"]["all"]["queries"] == 3


def test_nothing_is_left_behind(town: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(corpus_module.tempfile, "mkdtemp", lambda **_: str(folder))

    evaluate(town, limit=1)

    assert not folder.exists()


def test_folds_are_for_the_lexical_reranker_alone(town: dict[str, Path]) -> None:
    with pytest.raises(CommandError, match="只用于"):
        evaluate(town, reranker="none", train_half=True)


def test_file_that_is_missing_or_wrong_is_said(town: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        evaluate({**town, "documents": tmp_path / "absent.jsonl"})
    (tmp_path / "wrong.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(CommandError, match="缺少字段"):
        evaluate({**town, "documents": tmp_path / "wrong.jsonl"})


def test_trained_coefficients_are_written_and_used(town: dict[str, Path], tmp_path: Path) -> None:
    output = StringIO()
    path = tmp_path / "model.json"

    call_command("train_lexical_reranker", **town, output=path, stdout=output)

    assert load_model(path).revision in output.getvalue()
    assert load_model(path).trained_on["questions"] == len(TOPICS) * 2
    _, report = evaluate(town, model=path)
    assert report["sets"]["all"]["reranked"]["top1"] > 90.0


def test_too_few_questions_train_nothing(town: dict[str, Path], tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text(town["queries"].read_text(encoding="utf-8").split("\n")[0], encoding="utf-8")

    with pytest.raises(CommandError, match="不足以训练"):
        call_command(
            "train_lexical_reranker",
            documents=town["documents"],
            queries=few,
            output=tmp_path / "m.json",
            stdout=StringIO(),
        )
    assert not (tmp_path / "m.json").exists()


@pytest.mark.service
def test_elasticsearch_index_is_gone_afterwards(town: dict[str, Path], elasticsearch_url: str) -> None:
    from elasticsearch import Elasticsearch

    _, report = evaluate(town, engine="elasticsearch", search_url=elasticsearch_url)

    assert report["sets"]["all"]["reranked"]["top1"] > 90.0
    with Elasticsearch(elasticsearch_url) as client:
        assert list(client.indices.get(index="evaluation-*")) == []
