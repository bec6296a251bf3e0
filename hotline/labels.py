"""Codes that services store, in the words of the desk. An unknown code is shown as it is, never hidden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

REASONS = {
    "small_score_gap": "前两名太接近",
    "low_first_share": "首位不够突出",
    "low_best_score": "最佳结果的相关度偏低",
    "first_stage_disagrees": "初筛与重排的首位不一致",
    "partial_rerank": "时间所限，只重排了一部分",
    "reranker_unavailable": "重排器不可用，以下为初筛次序",
    "nothing_found": "没有找到相关政策",
    "quality_sample": "随机抽检",
}
NOTICES = {
    "truncated": "部分长文本已截断",
    "partial_rerank": "时间所限，只重排了一部分",
    "batch_halved": "显存不足，已分批重排",
    "fell_back": "首选重排器不可用，已改用后备重排器",
    "trimmed": "长段落只读了与问题最相关的句子",
    "saturated": "远程服务的分数已饱和，分差不可靠",
    "out_of_memory": "部分文本过长，内存不足，未重排",
    "query_too_long": "问题过长，模型无法重排",
    "semantic_unavailable": "语义召回不可用，只按字词检索",
}
STAGES = {
    "understanding": "问题理解",
    "semantic": "语义",
    "first_stage": "初筛",
    "rerank": "重排",
    "check": "校验",
    "total": "合计",
}
DESK_STAGES = ("semantic", "first_stage", "rerank", "check")  # what an agent is told
FIGURES = {
    "top1": "Top-1",
    "mrr5": "MRR@5",
    "ndcg3": "NDCG@3",
    "recall50": "Recall@50",
    "sent": "送复核",
    "top1_of_rest": "免复核的 Top-1",
}
REWRITE_CHOICES = {"default": "与坐席台相同", "none": "只用原问题", "always": "全部改写一起检索"}
SEMANTIC_CHOICES = {"default": "随部署（配了嵌入模型就用）", "none": "不用，只按字词"}
RERANKER_CHOICES = {"configured": "线上重排器", "lexical": "词法重排", "none": "不重排（初筛次序）"}
VARIANT_KINDS = {
    "original": "原话",
    "cleaned": "净化",
    "synonyms": "同义表达",
    "expanded": "补全",
    "policy_form": "政策句式",
    "focus": "诉求要点",
    "model_synonyms": "模型：同义表达",
    "model_expanded": "模型：补全",
    "model_policy_form": "模型：政策句式",
}
STEP_KINDS = {
    "width": "全角",
    "noise": "杂符",
    "traditional": "繁体",
    "repetition": "重复",
    "filler": "客套",
    "typing_error": "错字",
    "focus": "要点",
    "place": "地区",
    "spoken": "口语",
    "abbreviation": "简称",
    "synonym": "同义",
    "subject": "主体",
    "question_form": "句式",
}
RERANKERS = {"lexical": "词法重排", "none": "无重排", "first_stage": "BM25 初筛次序"}


def name_codes(codes: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Each code's Chinese, without repeating itself."""
    return list(dict.fromkeys(names.get(code, code) for code in codes))


def name_reranker(name: str) -> str:
    return RERANKERS.get(name, name)


def describe_stages(milliseconds: Mapping[str, float], *, is_reranked: bool) -> str:
    """初筛 38 ms · 重排 412 ms; stages this page has no word for are left to the API."""
    shown = DESK_STAGES if is_reranked else ("first_stage",)
    parts = [f"{STAGES[name]} {round(value)} ms" for name, value in milliseconds.items() if name in shown]
    return " · ".join(parts)
