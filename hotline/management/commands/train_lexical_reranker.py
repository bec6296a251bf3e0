"""`manage.py train_lexical_reranker`: coefficients fitted on questions with the right documents."""

from __future__ import annotations

import hashlib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hotline.evaluation.corpus import index_documents
from hotline.evaluation.data import EvaluationDataError, load_documents, load_questions
from hotline.evaluation.lookups import ask_questions
from hotline.evaluation.runner import judge_with_model, summarize
from hotline.evaluation.training import label_question
from kb.search.types import SearchEngineError
from reranking.lexical_training import TrainingError, train_model


class Command(BaseCommand):
    help = "用带正确文件的问题训练词法重排的系数，写成一个可读的小文件（LEXICAL_MODEL_FILE）。"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--documents", type=Path, required=True, help="文件集（JSONL）：id、title、content")
        parser.add_argument("--queries", type=Path, required=True, help="问题集（JSONL）：qid、question、doc_ids")
        parser.add_argument("--output", type=Path, required=True, help="系数文件")
        parser.add_argument("--force", action="store_true", help="即使有问题集的 Top-1 低于初筛也写出")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            documents = load_documents(options["documents"])
            questions = load_questions(options["queries"], documents)
            with index_documents(documents) as corpus:
                asked = list(ask_questions(corpus, questions, lists_features=True))
            model = train_model([label_question(item) for item in asked], trained_on=_describe(options, len(asked)))
        except (EvaluationDataError, SearchEngineError, TrainingError, OSError) as error:
            raise CommandError(str(error)) from error
        report = summarize(judge_with_model(asked, model))
        self.stdout.write(report.to_text())
        if report.harmed_sets() and not options["force"]:
            raise CommandError(f"以下问题集的 Top-1 低于初筛，系数没有写出：{'、'.join(report.harmed_sets())}。")
        model.save(options["output"])
        self.stdout.write(f"系数已写入 {options['output']}，修订号 {model.revision}。")


def _describe(options: dict[str, Any], questions: int) -> dict[str, Any]:
    digests = {name: hashlib.sha256(options[name].read_bytes()).hexdigest()[:16] for name in ("documents", "queries")}
    return {"questions": questions, "sha256": digests}
