"""Rows for tests of pages, made as the services make them but without a search engine or a worker."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from datetime import date
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from hotline.models import Lookup, QueryVariant, Result, ResultPassage, SecondaryReview, Ticket, User
from kb.models import DocumentVersion, Passage, PolicyDocument, Upload
from kb.passages import split_passages

_counter = itertools.count(1)

TEXT = (
    "第一章 总则\n第一条 为规范物业服务，制定本条例。\n第二章 物业服务\n"
    "第二条 物业服务人应当自接到漏水报修之日起两个工作日内到场维修。不属于约定范围的，应当告知业主。\n"
    "第三条 物业服务费按照合同约定交纳。\n"
)


def make_user(role: str = "agent", **fields: Any) -> User:
    """A person in the group of a role: agent, reviewer or knowledge_administrator; "" for none."""
    number = next(_counter)
    fields.setdefault("agent_number", str(1000 + number))
    user = User.objects.create_user(f"{role or 'nobody'}-{number}", password="secret", **fields)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def make_upload(**fields: Any) -> Upload:
    number = next(_counter)
    fields.setdefault("name", f"文件{number}.txt")
    fields.setdefault("sha256", hashlib.sha256(str(number).encode()).hexdigest())
    return Upload.objects.create(file=f"{number}.txt", size=1234, **fields)


def make_version(title: str = "云岚市物业管理条例", text: str = TEXT, **fields: Any) -> DocumentVersion:
    """A published version of a policy of its own (or of `document`), with its passages."""
    document = fields.pop("document", None) or PolicyDocument.objects.create()
    fields.setdefault("state", DocumentVersion.State.PUBLISHED)
    fields.setdefault("number", document.versions.count() + 1)
    fields.setdefault("effective_on", date(2024, 3, 1))
    text_sha256 = hashlib.sha256(text.encode()).hexdigest()
    version = DocumentVersion.objects.create(
        document=document, title=title, text=text, text_sha256=text_sha256, **fields
    )
    for span in split_passages(text):
        Passage.objects.create(
            version=version,
            ordinal=span.ordinal,
            start=span.start,
            end=span.end,
            header=span.header,
            text=span.body(text),
            heading_path=list(span.heading_path),
        )
    return version


def make_ticket(question: str = "楼上漏水物业不管怎么办", **fields: Any) -> Ticket:
    fields.setdefault("number", f"20261121-{next(_counter):04d}")
    return Ticket.objects.create(question=question, **fields)


def make_lookup(
    versions: Sequence[DocumentVersion] = (),
    *,
    question: str = "楼上漏水物业不管怎么办",
    mark: str = "两个工作日内到场维修",
    scores: Sequence[float] | None = None,
    **fields: Any,
) -> Lookup:
    """A lookup that found `versions`, in that order; with `scores` (log-odds) it is reranked and final."""
    fields.setdefault("state", Lookup.State.WAITING if scores is None else Lookup.State.DONE)
    fields.setdefault("reranker", "" if scores is None else "lexical")
    fields.setdefault("as_of", timezone.localdate())
    lookup = Lookup.objects.create(question=question, engine="embedded", **fields)
    QueryVariant.objects.create(lookup=lookup, ordinal=0, kind="original", text=question)
    for rank, version in enumerate(versions, start=1):
        result = Result.objects.create(
            lookup=lookup,
            version=version,
            rank=rank,
            first_stage_rank=rank,
            first_stage_score=1 / rank,
            log_odds=scores[rank - 1] if scores else None,
            relevance_score=round(0.9 / rank, 3) if scores else None,
        )
        for ordinal, passage in enumerate(version.passages.all()[:3]):
            at = passage.text.find(mark)
            spans = [[at, at + len(mark)]] if at >= 0 else []
            ResultPassage.objects.create(result=result, passage=passage, ordinal=ordinal, score=1, highlights=spans)
    return lookup


def rerank_lookup(lookup: Lookup, scores: Sequence[float]) -> Lookup:
    """What the worker does at the end: `scores` in first-stage order become the order."""
    results = list(lookup.results.order_by("first_stage_rank"))
    for result, score in zip(results, scores, strict=True):
        result.log_odds = score
    for rank, result in enumerate(sorted(results, key=lambda item: -item.log_odds), start=1):
        result.rank = rank
        result.save()
    lookup.state, lookup.reranker = Lookup.State.DONE, "lexical"
    lookup.save()
    return lookup


def make_review(lookup: Lookup, **fields: Any) -> SecondaryReview:
    lookup.reasons = lookup.reasons or ["small_score_gap"]
    lookup.gap, lookup.gap_threshold = 0.42, 0.86
    lookup.save()
    return SecondaryReview.objects.create(lookup=lookup, **fields)
