"""`manage.py evaluate`: how well documents are found, ordered, doubted and highlighted."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hotline.embedders import load_embedder
from hotline.evaluation.corpus import index_documents
from hotline.evaluation.data import (
    Document,
    EvaluationDataError,
    load_documents,
    load_questions,
    split_by_document,
    split_halves,
)
from hotline.evaluation.fingerprints import Recall, recall_documents
from hotline.evaluation.lookups import Asked, ask_questions
from hotline.evaluation.runner import Judged, judge_ranked, judge_with_model, summarize
from hotline.evaluation.steps import list_steps
from hotline.rerankers import get_reranker, load_lexical_model
from hotline.review_policy import rules_for
from kb.embedding import EmbeddingFailed
from kb.fingerprints import Progress
from kb.search.types import SearchEngineError
from reranking.lexical_model import LexicalModelError, load_model
from reranking.types import Reranker, RerankerError


class Command(BaseCommand):
    help = "在带正确答案的问题集上评测初筛、重排、二次校验和高亮；索引与线上数据分开，用完即删。"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--documents", type=Path, required=True, help="文件集（JSONL）：id、title、content")
        parser.add_argument("--queries", type=Path, required=True, help="问题集（JSONL）：qid、question、doc_ids…")
        parser.add_argument("--engine", choices=["embedded", "elasticsearch"], default="embedded", help="检索引擎")
        parser.add_argument("--search-url", default="", help="Elasticsearch 地址（默认取 SEARCH_URL）")
        parser.add_argument(
            "--reranker", choices=["lexical", "none", "auto", "qwen", "remote"], default="lexical", help="重排器"
        )
        parser.add_argument("--model", type=Path, help="词法重排的系数文件（默认取线上所用）")
        parser.add_argument("--embedding-model", default="", help="嵌入模型目录或仓库编号：初筛融合语义召回")
        parser.add_argument("--fingerprints", type=Path, help="向量存放的目录，下次接着用（默认用完即删）")
        parser.add_argument("--steps", action="store_true", help="只看初筛：逐一去掉一个步骤时的召回率")
        parser.add_argument("--limit", type=int, help="只用前若干个问题")
        parser.add_argument("--json", action="store_true", help="最后一行输出 JSON")
        folds = parser.add_mutually_exclusive_group()
        folds.add_argument("--train-half", action="store_true", help="一半问题训练，另一半评测，再反过来")
        folds.add_argument("--unseen-documents", action="store_true", help="只用正确文件与评测折不同的问题训练")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["train_half"] or options["unseen_documents"]) and options["reranker"] != "lexical":
            raise CommandError("--train-half 和 --unseen-documents 只用于 --reranker lexical。")
        try:
            self._evaluate(options)
        except (
            EmbeddingFailed,
            EvaluationDataError,
            LexicalModelError,
            RerankerError,
            SearchEngineError,
            OSError,
        ) as error:
            raise CommandError(str(error)) from error

    def _evaluate(self, options: dict[str, Any]) -> None:
        documents = load_documents(options["documents"])
        questions = load_questions(options["queries"], documents)[: options["limit"]]
        by_model = options["reranker"] == "lexical"
        reranker = _make_reranker(options["reranker"])
        with ExitStack() as stack:
            corpus = stack.enter_context(index_documents(documents, elasticsearch_url=_elasticsearch_url(options)))
            self.stderr.write(f"{len(documents)} 份文件，{len(corpus.passages)} 个段落，{len(questions)} 个问题")
            if options["steps"]:
                for line in list_steps(corpus, questions):
                    self.stdout.write(line)
                return
            recall = stack.enter_context(self._recall(documents, options)) if options["embedding_model"] else None
            asked = list(ask_questions(corpus, questions, reranker=reranker, lists_features=by_model, recall=recall))
        report = summarize(_judge(asked, options))
        self.stdout.write(report.to_text())
        if options["json"]:
            self.stdout.write(report.to_json())

    def _recall(self, documents: Sequence[Document], options: dict[str, Any]) -> AbstractContextManager[Recall]:
        def report(progress: Progress) -> None:
            self.stderr.write(f"语义指纹 {progress.done}/{progress.total}")

        embedder = load_embedder(options["embedding_model"])
        return recall_documents(documents, embedder, options["fingerprints"], on_progress=report)


def _judge(asked: Sequence[Asked], options: dict[str, Any]) -> list[Judged]:
    if options["reranker"] != "lexical":
        return judge_ranked(asked, rules_for)
    if not (options["train_half"] or options["unseen_documents"]):
        return judge_with_model(asked, load_model(options["model"]) if options["model"] else load_lexical_model())
    try:
        # numpy, which only training needs
        from hotline.evaluation.training import judge_across
    except ImportError as error:
        raise CommandError("训练需要 numpy：pip install numpy（检索和重排不需要）。") from error
    return judge_across(asked, split_halves if options["train_half"] else split_by_document)


def _make_reranker(name: str) -> Reranker | None:
    """The neural ones as the settings configure them."""
    if name in {"lexical", "none"}:
        return None
    settings.RERANKER = name
    return get_reranker()


def _elasticsearch_url(options: dict[str, Any]) -> str:
    if options["engine"] == "embedded":
        return ""
    url = options["search_url"] or settings.SEARCH_URL
    if not url.startswith(("http://", "https://")):
        url = os.environ.get("ELASTICSEARCH_TEST_URL", "")
    if not url:
        raise CommandError("请用 --search-url 或 SEARCH_URL 给出 Elasticsearch 的地址。")
    return str(url)
