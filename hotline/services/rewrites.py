"""Rewrites on request: a language model's beside those by rules, offered with the lookup they were asked for."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max

from hotline.labels import VARIANT_KINDS
from hotline.models import Lookup, User
from hotline.rewriting import Rewrite, RewriteUnavailable, get_rewriter
from hotline.services.audit import record_event
from hotline.services.lookups import MODEL, store_variants
from hotline.services.reranking import searched_text
from hotline.understanding import Wording


@dataclass(frozen=True, slots=True)
class RewriteOffer:
    """`trouble`: why the model's are missing, in Chinese. `dropped`: how many would have changed the meaning."""

    has_model: bool
    trouble: str = ""
    dropped: int = 0


def offer_rewrites(*, lookup: Lookup, by: User) -> RewriteOffer:
    """Ask the model, where there is one and it has not been asked for this lookup; never raises for its faults."""
    rewriter = get_rewriter()
    if rewriter is None or lookup.variants.filter(kind__startswith=MODEL).exists():
        return RewriteOffer(has_model=rewriter is not None)
    try:
        answer = rewriter.rewrite(searched_text(lookup))
    except RewriteUnavailable as error:
        return RewriteOffer(has_model=True, trouble=str(error))
    _store(lookup, answer.rewrites, by)
    return RewriteOffer(has_model=True, dropped=answer.dropped)


@transaction.atomic
def _store(lookup: Lookup, rewrites: tuple[Rewrite, ...], by: User) -> None:
    """Asked for twice at once, the first answer stays."""
    Lookup.objects.select_for_update().get(pk=lookup.pk)
    variants = lookup.variants.all()
    if any(variant.kind.startswith(MODEL) for variant in variants.all()):
        return
    said = set(variants.values_list("text", flat=True))
    last = variants.aggregate(last=Max("ordinal"))["last"] or 0
    wordings = [
        Wording(MODEL + kind, text, f"大模型改写：{VARIANT_KINDS[kind]}", is_used=False)
        for kind, text in rewrites
        if text not in said
    ]
    store_variants(lookup, wordings, first=last + 1)
    record_event(action="rewrites_offered", subject=lookup, by=by, rewrites=len(wordings))
