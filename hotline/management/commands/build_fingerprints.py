"""manage.py build_fingerprints [--model M] [--prune] | --policies FILE.jsonl --output FOLDER"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hotline.embedders import get_passage_embedder
from hotline.evaluation.data import EvaluationDataError, load_documents
from hotline.evaluation.fingerprints import build_store
from hotline.services.fingerprints import build_all
from kb.embedding import EmbeddingFailed
from kb.fingerprints import Progress
from kb.search.types import SearchEngineError


class Command(BaseCommand):
    help = "为可检索的段落建语义指纹（向量）；只算缺少的，随时可以停止再接着做，也可以同时开几个"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--model", default="", help="嵌入模型（默认取 EMBEDDING_MODEL 或 EMBEDDING_URL）")
        parser.add_argument("--prune", action="store_true", help="建完后清除其他嵌入模型的指纹")
        parser.add_argument("--policies", type=Path, help="不用数据库：政策文件（JSONL）：id、title、content")
        parser.add_argument("--output", type=Path, help="--policies 的向量库放在哪个目录")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["policies"]) != bool(options["output"]):
            raise CommandError("--policies 与 --output 须一起给出。")
        if options["model"]:
            settings.EMBEDDING_MODEL = options["model"]
        try:
            if options["policies"]:
                self._build_apart(options["policies"], options["output"])
            else:
                self._build(prune=options["prune"])
        except (EmbeddingFailed, SearchEngineError, EvaluationDataError, OSError) as error:
            raise CommandError(str(error)) from error

    def _build(self, *, prune: bool) -> None:
        outcome = build_all(on_progress=self._report, prune=prune)
        if outcome is None:
            raise CommandError(NO_EMBEDDER)
        repaired = outcome.repaired
        self.stdout.write(
            f"嵌入模型 {outcome.space.revision}：新算 {outcome.progress.passages} 个段落；向量库补入 "
            f"{len(repaired.missing) + len(repaired.outdated)} 个版本，清除 {len(repaired.surplus)} 个"
        )
        if outcome.left:
            self.stdout.write(f"另有 {outcome.left} 个版本正由别的进程计算")

    def _build_apart(self, policies: Path, output: Path) -> None:
        embedder = get_passage_embedder()
        if embedder is None:
            raise CommandError(NO_EMBEDDER)
        progress = build_store(load_documents(policies), output, embedder, on_progress=self._report)
        self.stdout.write(f"{output}：{progress.total} 项政策，新算 {progress.passages} 个段落")

    def _report(self, progress: Progress) -> None:
        self.stdout.write(f"{progress.done}/{progress.total} 个版本，已算 {progress.passages} 个段落")
        self.stdout.flush()


NO_EMBEDDER = "没有嵌入模型：请设 EMBEDDING_MODEL 或 EMBEDDING_URL，或用 --model 给出。"
