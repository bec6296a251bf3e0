from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reranking.batching import halve, interleave, pack_balanced, take_in_order

lengths_lists = st.lists(st.integers(1, 300), max_size=60)


@given(lengths_lists, st.integers(1, 400))
def test_every_item_is_packed_once(lengths, budget):
    packed = [index for batch in pack_balanced(lengths, budget) for index in batch]
    assert sorted(packed) == list(range(len(lengths)))


@given(lengths_lists, st.integers(1, 400))
def test_no_batch_exceeds_the_budget_unless_it_is_one_item(lengths, budget):
    for batch in pack_balanced(lengths, budget):
        assert len(batch) == 1 or sum(lengths[index] for index in batch) <= budget


@given(lengths_lists, st.integers(300, 2000))
def test_batches_are_few(lengths, budget):
    """Never more than twice what a perfect filling needs, and one more."""
    assert len(pack_balanced(lengths, budget)) <= 2 * sum(lengths) / budget + 1


def test_batches_are_evenly_full():
    batches = pack_balanced([250] * 6, 1024)
    assert sorted(len(batch) for batch in batches) == [3, 3]


def test_items_keep_their_order_inside_a_batch():
    assert pack_balanced([10, 30, 20], 100) == [[0, 1, 2]]


def test_item_longer_than_the_budget_is_alone():
    assert pack_balanced([5, 2000, 5], 1000) == [[1], [0, 2]]


def test_nothing_gives_no_batches():
    assert pack_balanced([], 1000) == []


@given(lengths_lists, st.integers(0, 2000))
def test_taken_items_fit_and_the_next_would_not(lengths, budget):
    count = take_in_order(lengths, budget)
    assert sum(lengths[:count]) <= budget
    assert count == len(lengths) or sum(lengths[: count + 1]) > budget


def test_interleaving_goes_by_first_stage_rank():
    assert interleave([2, 0, 3]) == [(0, 0), (2, 0), (0, 1), (2, 1), (2, 2)]


def test_interleaving_nothing_gives_nothing():
    assert interleave([]) == []


def test_halves_make_the_batch():
    assert halve([3, 1, 4, 1, 5]) == ([3, 1], [4, 1, 5])
