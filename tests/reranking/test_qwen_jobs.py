"""Which documents are packed together, by tokens that include their prefixes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reranking.qwen_jobs import Job, marginal_costs, plan_batches, split_by_prefixes
from reranking.qwen_pack import Prefix

queries = st.lists(st.tuples(st.integers(1, 400), st.lists(st.integers(1, 300), min_size=1, max_size=8)), max_size=10)
budgets = st.integers(50, 1500)
KEPT = 8192


def make_jobs(described: list[tuple[int, list[int]]], root_tokens: int = 0) -> list[Job]:
    """Jobs of (query tokens, document lengths), interleaved as the engine hands them in."""
    root = Prefix([0] * root_tokens, computed=True)
    prefixes = [Prefix([0] * query, root) for query, _ in described]
    turns = max((len(lengths) for _, lengths in described), default=0)
    places = [
        (number, turn) for turn in range(turns) for number, (_, lengths) in enumerate(described) if turn < len(lengths)
    ]
    return [
        Job(index, number, [0] * described[number][1][turn], prefixes[number], None)
        for index, (number, turn) in enumerate(places)
    ]


def run_costs(batches: list[list[Job]]) -> list[int]:
    """The tokens of each batch when they run in this order."""
    costs = []
    for batch in batches:
        costs.append(sum(marginal_costs(batch)))
        for job in batch:
            job.prefix.computed = True
    return costs


@given(queries, budgets)
def test_every_document_is_planned_once(described, budget):
    jobs = make_jobs(described)
    assert sorted(job.index for batch in plan_batches(jobs, budget, KEPT) for job in batch) == list(range(len(jobs)))


@given(queries, budgets)
def test_batches_keep_the_budget_with_their_prefixes(described, budget):
    batches = plan_batches(make_jobs(described), budget, KEPT)
    for batch, cost in zip(batches, run_costs(batches), strict=True):
        short = sum(len(prefix.ids) for prefix in {job.prefix for job in batch} if len(prefix.ids) <= budget // 32)
        assert cost <= budget + short or len(batch) == 1


@given(queries, budgets)
def test_batches_of_a_long_query_follow_each_other(described, budget):
    """Its prefix can be dropped before the next query's is computed."""
    described = [(query + budget // 32, lengths) for query, lengths in described]
    order = [job.prefix for batch in plan_batches(make_jobs(described), budget, KEPT) for job in batch]
    changes = sum(first is not second for first, second in pairwise(order))
    assert changes == max(0, len(set(order)) - 1)


def test_documents_of_short_queries_are_mixed():
    """Six documents of 300 in two batches, where query by query would take three."""
    batches = plan_batches(make_jobs([(20, [300, 300])] * 3), 1000, KEPT)
    assert sorted(map(len, batches)) == [3, 3]


def test_prefixes_of_short_queries_are_kept_few_at_a_time():
    jobs = make_jobs([(10, [30])] * 20)
    batches = plan_batches(jobs, 1024, 50)
    assert [len({job.prefix for job in batch}) for batch in batches] == [5, 5, 5, 5]


def test_small_queries_share_a_batch():
    assert len(plan_batches(make_jobs([(20, [100, 100])] * 4), 1024, KEPT)) == 1


def test_documents_of_a_query_fill_their_batches_evenly():
    batches = plan_batches(make_jobs([(40, [200] * 13)]), 1024, KEPT)
    assert sorted(run_costs(batches)) == [800, 840, 1000]


def test_prefix_is_counted_once_and_not_when_it_is_computed():
    jobs = make_jobs([(50, [10, 20])], root_tokens=7)
    jobs[0].prefix.parent.computed = False
    assert marginal_costs(jobs) == [67, 20]
    jobs[0].prefix.computed = True
    assert marginal_costs(jobs) == [17, 20]


@given(queries, st.integers(1, 800))
def test_parts_hold_whole_queries_in_order_and_few_prefixes(described, most):
    jobs = make_jobs(described)
    parts = split_by_prefixes(jobs, most)
    owners = [{job.prefix for job in part} for part in parts]
    assert sum(map(len, owners)) == len(set().union(*owners))
    assert all(len(found) == 1 or sum(prefix.length for prefix in found) <= most for found in owners)
    assert sorted(job.index for part in parts for job in part) == list(range(len(jobs)))
    assert all([job.index for job in part] == sorted(job.index for job in part) for part in parts)
