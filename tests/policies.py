"""Published policies for tests, made through the services as an administrator would."""

from __future__ import annotations

from kb import indexing
from kb.models import DocumentVersion
from kb.parsing import ParsedDocument, PolicyMetadata
from kb.services.versions import publish_versions, store_draft

LIFT = "第一条 既有住宅可以加装电梯。\n第二条 每台电梯补贴十万元，由区住房城乡建设局发放。\n"
LEAK = "第一条 为规范物业服务，制定本条例。\n第二条 楼上漏水的，物业服务人应当自接到报修之日起两个工作日内到场维修。\n"
RENT = "第一条 公共租赁住房租金按照市场租金的百分之六十计收。\n"


def publish_policy(title: str, text: str, **metadata: object) -> DocumentVersion:
    """One published version of a policy of its own; not yet in the index."""
    parsed = ParsedDocument(title=title, text=text, metadata=PolicyMetadata(**metadata))  # type: ignore[arg-type]
    version = store_draft(upload=None, document=parsed)
    publish_versions(versions=[version], by=None)
    version.refresh_from_db()
    return version


def publish_samples() -> dict[str, DocumentVersion]:
    """Three policies, in the live index: lift, leak, rent."""
    made = {
        "lift": publish_policy(
            "云岚市既有住宅加装电梯办法", LIFT, document_number="云府办规〔2025〕8号", region="云岚市"
        ),
        "leak": publish_policy("云岚市物业管理条例", LEAK, region="云岚市"),
        "rent": publish_policy("云岚市公共租赁住房办法", RENT, region="青溪区"),
    }
    indexing.sync_documents([version.document_id for version in made.values()])
    return made
