"""The sample versions of the search tests, and engines made on a server."""

import uuid
from collections.abc import Callable, Iterator

from elasticsearch import Elasticsearch

from kb.search.types import PassageEntry, SearchEngine, VersionEntry

EngineMaker = Callable[[], SearchEngine]


def make_version(version_id: int, *texts: str, **changes: object) -> VersionEntry:
    """A version of document 1000 + id, its passages numbered id * 100 and on, with a fingerprint of its content."""
    passages = tuple(PassageEntry(version_id * 100 + place, text) for place, text in enumerate(texts))
    values: dict[str, object] = {
        "version_id": version_id,
        "document_id": 1000 + version_id,
        "title": f"云岚市第{version_id}号办法",
        "passages": passages,
        "fingerprint": f"{version_id}-{len(texts)}",
    }
    return VersionEntry(**{**values, **changes})  # type: ignore[arg-type]


def make_elastic_engines(url: str) -> Iterator[EngineMaker]:
    """Yields a maker of engines under a prefix of its own; closed, it deletes what they made."""
    # Here, because it needs Django's settings.
    from kb.search.elastic import ElasticEngine

    prefix = f"test-{uuid.uuid4().hex[:12]}"
    yield lambda: ElasticEngine(url, prefix, timeout_seconds=30.0, alias_seconds=0.0)
    delete_indexes(url, prefix)


def delete_indexes(url: str, prefix: str) -> None:
    with Elasticsearch(url, request_timeout=30) as client:
        for name in client.indices.get(index=f"{prefix}-*"):
            client.indices.delete(index=name)


SAMPLE = [
    make_version(
        1, "既有住宅加装电梯的，给予每台十万元补贴。", "电梯日常维护由业主负责。", region="云岚市", level="city"
    ),
    make_version(
        2,
        "楼上漏水的，物业服务企业应当自接到报修之日起两个工作日内维修。",
        region="东湖区",
        level="district",
        category="物业",
    ),
    make_version(3, "共用部位渗漏，可以申请使用专项维修资金。", "维修资金由业主大会决定。", category="物业"),
    make_version(4, "一老一小服务设施的漏水维修。", departments=("minzheng",), region="云岚市"),
    make_version(5, "内部办法：漏水投诉的派单。", departments=("zhujian", "chengguan"), in_force_from=739000),
    make_version(6, "漏水维修的旧办法。", in_force_from=730000, in_force_until=739000),
]
