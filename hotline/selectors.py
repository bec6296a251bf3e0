"""Reads for the desk's pages: each page's data in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet

from hotline import labels, presentation
from hotline.masking import mask_personal_data
from hotline.models import APIKey, Feedback, Lookup, Result, ResultPassage, SecondaryReview, Ticket, User
from hotline.review_policy import QUALITY_SAMPLE
from hotline.services.lookups import readable_departments
from kb.models import DocumentVersion, Passage
from kb.selectors import permitted_versions

FACETS_SECONDS = 300


@dataclass(frozen=True, slots=True)
class PassageCard:
    """One of a result's passages with its marked runs: all of it, and what a list shows."""

    passage: Passage
    location: str
    runs: tuple[presentation.Run, ...]
    excerpt: tuple[presentation.Run, ...]


@dataclass(frozen=True, slots=True)
class ResultCard:
    """A result as the list shows it. `thumb`: this person's feedback, None without."""

    result: Result
    number: int
    bar: presentation.ScoreBar
    status: presentation.StatusLabel
    dates: str
    passages: tuple[PassageCard, ...]
    is_picked: bool
    thumb: bool | None


@dataclass(frozen=True, slots=True)
class LookupPage:
    """A lookup with what its results column shows."""

    lookup: Lookup
    cards: tuple[ResultCard, ...]
    review: SecondaryReview | None
    reranker: str
    reasons: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    stages: str = ""

    @property
    def is_reranked(self) -> bool:
        return self.lookup.is_final and any(card.result.log_odds is not None for card in self.cards)

    @property
    def doubts(self) -> list[str]:
        """What an agent should look at; that the lookup was drawn for review is no doubt."""
        return [name for name in self.reasons if name != labels.REASONS[QUALITY_SAMPLE]]

    @property
    def other_wordings(self) -> list[str]:
        """What was searched beside the question itself."""
        return [variant.text for variant in self.lookup.variants.all() if variant.ordinal and variant.is_used]

    @property
    def token(self) -> str:
        return lookup_token(self.lookup)


@dataclass(frozen=True, slots=True)
class DocumentPane:
    """A document opened at a passage, with what copying it gives."""

    result: Result
    passage: Passage
    status: presentation.StatusLabel
    dates: str
    text: presentation.DocumentText
    answer: str
    other_passages: tuple[tuple[Passage, str], ...]


def load_lookup(pk: int) -> Lookup | None:
    """The lookup with its ticket, review and variants."""
    lookups = Lookup.objects.select_related("ticket", "review__reviewer", "asked_by").prefetch_related("variants")
    return lookups.filter(pk=pk).first()


def readable_results(user: User | None, api_key: APIKey | None = None) -> QuerySet[Result]:
    """Results whose version the person or key may read, withdrawn ones too: every reading of a stored lookup."""
    departments = readable_departments(user, api_key)
    if departments is None:
        return Result.objects.all()
    return Result.objects.filter(Exists(permitted_versions(departments=departments).filter(pk=OuterRef("version"))))


def awaits_verdict(lookup: Lookup) -> bool:
    """Whether a reviewer has still to decide."""
    review = _review_of(lookup)
    return review is not None and review.state == SecondaryReview.State.WAITING


def is_checked_now(lookup: Lookup) -> bool:
    """Whether a machine check is under way."""
    review = _review_of(lookup)
    return review is not None and review.state == SecondaryReview.State.CHECKING


def is_settled(lookup_id: int) -> bool:
    """Whether all that machines do for a lookup is done. One query."""
    done = Lookup.objects.filter(pk=lookup_id, state=Lookup.State.DONE)
    return done.exclude(review__state=SecondaryReview.State.CHECKING).exists()


def lookup_token(lookup: Lookup) -> str:
    """Changes whenever the lookup's results would look different."""
    review = _review_of(lookup)
    return f"{lookup.state}-{review.state if review else 'none'}"


def load_lookup_page(lookup: Lookup, *, user: User) -> LookupPage:
    """What `user` may read of it, in four queries (five for one of a department), however many results."""
    results = list(_shown_results(lookup, user))
    review = _review_of(lookup)
    picked = set(review.picked.values_list("pk", flat=True)) if review else set()
    thumbs = dict(Feedback.objects.filter(result__in=results, by=user).values_list("result_id", "is_helpful"))
    return LookupPage(
        lookup=lookup,
        cards=_make_cards(lookup, results, picked, thumbs),
        review=review,
        reranker=labels.name_reranker(lookup.reranker),
        reasons=labels.name_codes(lookup.reasons, labels.REASONS),
        notices=labels.name_codes(lookup.notices, labels.NOTICES),
        stages=labels.describe_stages(lookup.milliseconds, is_reranked=bool(lookup.reranker)),
    )


def load_document_pane(
    lookup: Lookup, *, user: User, result_id: int | None, passage_id: int | None
) -> DocumentPane | None:
    """The chosen result's document at the chosen passage; the first's best passage where none is chosen.

    None for a result that `user` may not read.
    """
    results = readable_results(user).filter(lookup=lookup).select_related("version", "version__document")
    result = results.filter(pk=result_id).first() if result_id else results.order_by("rank").first()
    if result is None:
        return None
    shown = list(result.passages.select_related("passage").order_by("ordinal"))
    chosen = next((item for item in shown if item.passage_id == passage_id), shown[0] if shown else None)
    return _open_document(lookup, result, chosen, tuple(shown)) if chosen else None


def mask_ticket_query(query: str) -> str:
    """As it may stand in an address: a ticket's number, though it looks like a telephone's, is left as it is."""
    query = query.strip()
    masked = mask_personal_data(query)
    if masked == query:
        return query
    numbers = Q(number__icontains=query) | Q(external_id__icontains=query)
    return query if Ticket.objects.filter(numbers).exists() else masked


def list_tickets(*, query: str = "", state: str = "") -> QuerySet[Ticket]:
    """Newest first. `query` is sought in number and external number, and masked as they are in question and caller."""
    tickets = Ticket.objects.select_related("agent").annotate(lookup_count=Count("lookups"))
    if state:
        tickets = tickets.filter(state=state)
    if query := query.strip():
        masked = mask_personal_data(query)
        numbers = Q(number__icontains=query) | Q(external_id__icontains=query)
        tickets = tickets.filter(numbers | Q(question__icontains=masked) | Q(caller__icontains=masked))
    return tickets.order_by("-id")


def load_ticket(number: str) -> Ticket | None:
    return Ticket.objects.select_related("agent").filter(number=number).first()


def load_ticket_lookup(ticket: Ticket, wanted: int | None) -> Lookup | None:
    """The ticket's lookup with the id `wanted`, or its latest."""
    own = ticket.lookups.order_by("-id")
    if wanted is not None:
        own = own.filter(pk=wanted)
    pk = own.values_list("pk", flat=True).first()
    return load_lookup(pk) if pk else None


def list_ticket_lookups(ticket: Ticket) -> list[Lookup]:
    """The ticket's last ten lookups, newest first."""
    return list(ticket.lookups.order_by("-id")[:10])


def list_recent_tickets(user: User) -> list[Ticket]:
    """What this agent has in hand, newest first."""
    return list(Ticket.objects.filter(agent=user).order_by("-id")[:8])


def list_reviews(*, state: str) -> QuerySet[SecondaryReview]:
    """What waits longest comes first; what is decided, newest first."""
    reviews = SecondaryReview.objects.filter(state=state).select_related(
        "lookup__ticket", "lookup__asked_by", "reviewer"
    )
    return reviews.order_by("id" if state == SecondaryReview.State.WAITING else "-decided_at", "-id")


def load_review(pk: int) -> SecondaryReview | None:
    reviews = SecondaryReview.objects.select_related("lookup__ticket", "lookup__asked_by", "reviewer")
    return reviews.prefetch_related("lookup__variants").filter(pk=pk).first()


def count_waiting_reviews() -> int:
    return SecondaryReview.objects.filter(state=SecondaryReview.State.WAITING).count()


def next_waiting_review(*, after: int = 0) -> SecondaryReview | None:
    """The next to be decided, beginning again from the oldest."""
    waiting = SecondaryReview.objects.filter(state=SecondaryReview.State.WAITING).order_by("id")
    return waiting.filter(pk__gt=after).first() or waiting.exclude(pk=after).first()


def list_facets() -> dict[str, list[str]]:
    """Regions and categories of what is published, kept for five minutes."""
    found: dict[str, list[str]] | None = cache.get("desk-facets")
    if found is None:
        published = DocumentVersion.objects.filter(state=DocumentVersion.State.PUBLISHED)
        found = {
            name: sorted(published.exclude(**{name: ""}).order_by().values_list(name, flat=True).distinct()[:200])
            for name in ("region", "category")
        }
        cache.set("desk-facets", found, FACETS_SECONDS)
    return found


def _review_of(lookup: Lookup) -> SecondaryReview | None:
    return getattr(lookup, "review", None)


def _shown_results(lookup: Lookup, user: User) -> QuerySet[Result]:
    passages = ResultPassage.objects.select_related("passage").order_by("ordinal")
    results = readable_results(user).filter(lookup=lookup, rank__lte=settings.RESULT_LIMIT).select_related("version")
    results = results.defer("features", "version__text", "version__page_starts", "version__warnings")
    return results.prefetch_related(Prefetch("passages", passages)).order_by("rank")


def _make_cards(
    lookup: Lookup, results: list[Result], picked: set[int], thumbs: dict[int, bool]
) -> tuple[ResultCard, ...]:
    bars = presentation.make_bars(
        relevance=[result.relevance_score for result in results],
        log_odds=[result.log_odds if lookup.is_final else None for result in results],
        first_stage=[result.first_stage_score for result in results],
        calibrated=lookup.is_calibrated and lookup.is_final,
    )
    return tuple(
        ResultCard(
            result=result,
            number=number,
            bar=bar,
            status=describe_version(result.version, lookup.as_of),
            dates=describe_version_dates(result.version),
            passages=tuple(_make_passage_card(item) for item in result.passages.all()),
            is_picked=result.pk in picked,
            thumb=thumbs.get(result.pk),
        )
        for number, (result, bar) in enumerate(zip(results, bars, strict=True), start=1)
    )


def _make_passage_card(item: ResultPassage) -> PassageCard:
    text, spans = item.passage.text, item.highlights
    return PassageCard(
        passage=item.passage,
        location=locate_answer(item.passage, spans),
        runs=presentation.split_runs(text, spans),
        excerpt=presentation.excerpt_runs(text, spans),
    )


def locate_answer(passage: Passage, spans: list[list[int]]) -> str:
    """Where the marked sentence stands; the passage's place where nothing is marked."""
    return presentation.locate_marks(passage.text, passage.heading_path, spans) or passage.location


def _open_document(
    lookup: Lookup, result: Result, chosen: ResultPassage, shown: tuple[ResultPassage, ...]
) -> DocumentPane:
    version, passage = result.version, chosen.passage
    spans = [(passage.start + start, passage.start + end) for start, end in chosen.highlights]
    location = presentation.locate_marks(passage.text, passage.heading_path, chosen.highlights)
    return DocumentPane(
        result=result,
        passage=passage,
        status=describe_version(version, lookup.as_of),
        dates=describe_version_dates(version),
        text=presentation.layout_document(version.text, passage=(passage.start, passage.end), spans=spans),
        answer=presentation.compose_answer(
            text=passage.text, spans=chosen.highlights, citation=version.citation, location=location
        ),
        other_passages=tuple((item.passage, locate_answer(item.passage, item.highlights)) for item in shown),
    )


def describe_version(version: DocumentVersion, day: date) -> presentation.StatusLabel:
    withdrawn = version.state == DocumentVersion.State.WITHDRAWN
    return presentation.describe_status(version.validity, day, is_withdrawn=withdrawn)


def describe_version_dates(version: DocumentVersion) -> str:
    return presentation.describe_dates(
        issued_on=version.issued_on,
        effective_on=version.effective_on,
        expires_on=version.expires_on,
        repealed_on=version.repealed_on,
        superseded_on=version.superseded_on,
    )
