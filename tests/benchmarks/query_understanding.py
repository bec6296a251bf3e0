"""Time of query understanding, and what each of its steps does to the first stage.

    python -m tests.benchmarks.query_understanding --time             # milliseconds, full-size dictionaries
    python -m tests.benchmarks.query_understanding --reload 50000     # new terms while questions are understood
    python -m tests.benchmarks.query_understanding --index FOLDER     # Recall@50 and Top-1 per set, each step alone

--reload uses DATABASE_URL where it is set (its dictionaries are replaced), else an SQLite file of its own. FOLDER keeps
the index between runs. Cleaning steps replace the question; rewrites are fused with it by
`kb.retrieval.retrieve`. Only questions that a step changes are searched again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command

from kb.query_understanding import Rules, Understanding, load_default_rules, understand
from kb.query_understanding.rules import Rewording, Synonym, Term
from kb.retrieval import DEFAULT_PLAN, retrieve
from kb.search.factory import make_engine
from kb.search.types import SearchEngine, SearchFilter, SearchReader
from tests.benchmarks.first_stage import fill_index, is_in_half, judge, read_rows

CLEANING = ("width", "noise", "traditional", "repetition", "filler", "typing_error")
REWRITES = ("synonyms", "expanded", "policy_form", "focus")
Plan = Callable[[Understanding], tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Setting:
    """`without`: steps left out of understanding; `plan`: the question and the variants searched."""

    name: str
    without: tuple[str, ...]
    plan: Plan
    variant_weight: float = DEFAULT_PLAN.variant_weight


def settings(weights: Sequence[float]) -> list[Setting]:
    found = [Setting("question as asked", (), lambda u: (u.original, ()))]
    for step in CLEANING:
        others = tuple(other for other in CLEANING if other != step)
        found.append(Setting(f"cleaning: {step}", others, lambda u: (u.cleaned, ())))
    found.append(Setting("cleaning: all", (), lambda u: (u.cleaned, ())))
    for kind in REWRITES:
        found.append(Setting(f"rewrite: {kind}", (), lambda u, kind=kind: (u.cleaned, pick(u, (kind,)))))
    found.append(Setting("rewrite: synonyms, expanded", (), lambda u: (u.cleaned, pick(u, ("synonyms", "expanded")))))
    for step in ("spoken", "abbreviation", "synonym", "subject", "question_form"):
        others = tuple(o for o in ("spoken", "abbreviation", "synonym", "subject", "question_form") if o != step)
        found.append(Setting(f"wording: {step}", others, lambda u: (u.cleaned, pick(u, REWRITES[:3]))))
    for weight in weights:
        found.append(Setting(f"all rewrites, weight {weight}", (), lambda u: (u.cleaned, pick(u, REWRITES)), weight))
    return found


def pick(understanding: Understanding, kinds: Sequence[str]) -> tuple[str, ...]:
    return tuple(variant.text for variant in understanding.variants if variant.kind in kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--reload", type=int, metavar="TERMS")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds between two questions; 0: a full processor")
    parser.add_argument("--index", type=Path)
    parser.add_argument("--half", choices=["all", "even", "odd"], default="all")
    parser.add_argument("--weights", type=float, nargs="*", default=[0.25, 0.5])
    parser.add_argument("--only", default="", help="settings whose name holds this text")
    arguments = parser.parse_args()
    folder = Path(os.environ["EVALUATION_DIR"])
    if arguments.time:
        measure_time(folder)
    if arguments.reload:
        measure_reload(folder, arguments.reload, arguments.pause)
    if arguments.index:
        measure_recall(folder, arguments)


def measure_recall(folder: Path, arguments: argparse.Namespace) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hotline.settings")
    django.setup()
    documents = list(read_rows(folder / "policies" / "docs.jsonl"))
    questions = [row for row in read_rows(folder / "policies" / "queries.jsonl") if is_in_half(row, arguments.half)]
    numbers = {row["id"]: number for number, row in enumerate(documents, start=1)}
    engine = open_index(arguments.index, documents)
    known: dict[tuple[str, tuple[str, ...], float], list[float]] = {}
    for setting in settings(arguments.weights):
        if arguments.only in setting.name or setting.name == "question as asked":
            rows, changed = measure_setting(engine, questions, numbers, setting, known)
            print_row(setting.name, questions, rows, changed)


def open_index(folder: Path, documents: Sequence[dict[str, Any]]) -> SearchEngine:
    is_new = not folder.exists()
    engine = make_engine(f"file://{folder}", index_prefix="query-understanding")
    if is_new:
        fill_index(engine, documents, 300)
    return engine


def measure_setting(
    engine: SearchReader,
    questions: Sequence[dict[str, Any]],
    numbers: dict[str, int],
    setting: Setting,
    known: dict[tuple[str, tuple[str, ...], float], list[float]],
) -> tuple[list[list[float]], int]:
    """Figures of each question, and how many questions were not searched as asked."""
    rules, rows, changed = load_default_rules(), [], 0
    plan = replace(DEFAULT_PLAN, variant_weight=setting.variant_weight)
    for row in questions:
        query, variants = setting.plan(understand(row["question"], rules, without=setting.without))
        changed += query != row["question"] or bool(variants)
        key = (query, variants, setting.variant_weight if variants else 0.0)
        rights = {numbers[right] for right in row["doc_ids"]}
        if key not in known:
            result = retrieve(engine, query, SearchFilter(), variants=variants, plan=plan, index="benchmark")
            known[key] = judge(result, rights)
        rows.append(known[key])
    return rows, changed


def print_row(name: str, questions: Sequence[dict[str, Any]], rows: list[list[float]], changed: int) -> None:
    parts = [f"{name:26} changed {changed:5}"]
    for chosen in ("all", "ncp", "stard", "equals"):
        found = [f for q, f in zip(questions, rows, strict=True) if chosen in ("all", q["set"])]
        recall, top = (100 * statistics.fmean(column) for column in list(zip(*found, strict=True))[1:3])
        parts.append(f"{chosen} {recall:5.2f}/{top:5.2f}")
    print("  ".join(parts), flush=True)


def measure_time(folder: Path) -> None:
    rules = enlarge(load_default_rules())
    print({field: len(getattr(rules, field)) for field in rules.__dataclass_fields__ if field != "release"})
    began = time.perf_counter()
    _ = rules.matcher, rules.sound_matcher
    print(f"compiled in {1000 * (time.perf_counter() - began):.0f} ms")
    questions = [row["question"] for row in read_rows(folder / "policies" / "queries.jsonl")]
    letters = [json.loads(line)["detail"] for line in (folder / "letters_sample.jsonl").open(encoding="utf-8")]
    samples = {
        "questions of 25 to 35 characters": [q for q in questions if 25 <= len(q) <= 35],
        "complaints of 1,000 characters": [(letter * 100)[:1000] for letter in letters],
    }
    for name, texts in samples.items():
        for text in texts[:20]:
            understand(text, rules, rarity=count_characters)
        times = sorted(time_once(text, rules) for text in texts)
        print(
            f"{name} ({len(texts)}): median {statistics.median(times):.2f} ms, P95 {times[len(times) * 95 // 100]:.2f}"
        )


def measure_reload(folder: Path, terms: int, pause: float) -> None:
    """A release of so many terms, taken over by a process that goes on understanding questions."""
    with tempfile.TemporaryDirectory() as data:
        os.environ["DATA_DIR"] = data
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hotline.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        from kb.live_dictionaries import expire_live_rules, get_live_rules
        from kb.services.dictionaries import sync_builtin_entries

        sync_builtin_entries()
        questions = [row["question"] for row in read_rows(folder / "policies" / "queries.jsonl")][:2000]
        quiet = [time_live(question) for question in questions]
        release = store_terms(terms)
        expire_live_rules()
        began, times = time.perf_counter(), []
        while get_live_rules().release != release and time.perf_counter() - began < 60:
            times.append(time_live(random.choice(questions)))
            time.sleep(pause)
        print(f"{terms} terms live after {time.perf_counter() - began:.2f} s, {len(times)} questions meanwhile")
        print_times("before", quiet)
        print_times("meanwhile", times)
        print_times("after", [time_live(question) for question in questions])


def store_terms(count: int) -> int:
    """As an import of `count` made-up words would, once live. Returns the release."""
    from kb.models import DictionaryEntry, DictionaryRelease

    chosen = random.Random(0)
    words = {"".join(chr(chosen.randrange(0x4E00, 0x9FA5)) for _ in range(chosen.randint(2, 8))) for _ in range(count)}
    DictionaryEntry.objects.filter(updated_by=None, is_builtin=False).delete()
    DictionaryEntry.objects.bulk_create([DictionaryEntry(kind="term", text=word) for word in words], batch_size=500)
    return DictionaryRelease.objects.create().pk


def time_live(question: str) -> float:
    from kb.live_dictionaries import get_live_rules

    began = time.perf_counter()
    understand(question, get_live_rules(), rarity=count_characters)
    return 1000 * (time.perf_counter() - began)


def print_times(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p99 = ordered[len(ordered) * 99 // 100]
    print(f"{name:10} median {statistics.median(ordered):.2f} ms, P99 {p99:.2f}, longest {ordered[-1]:.2f}")


def count_characters(bigrams: Collection[str]) -> dict[str, float]:
    """Stands for a corpus; the engine's own time is not measured here."""
    return {bigram: float(len(bigram)) for bigram in bigrams}


def time_once(text: str, rules: Rules) -> float:
    began = time.perf_counter()
    understand(text, rules, rarity=count_characters)
    return 1000 * (time.perf_counter() - began)


def enlarge(rules: Rules) -> Rules:
    """With made-up rows up to 5,000 of the dictionary and 2,000 synonyms."""
    characters = [chr(0x4E00 + i) for i in range(0, 20000, 7)]
    made = [characters[i % 2857] + characters[i * 31 % 2857] + characters[i * 17 % 2857] for i in range(9000)]
    rewordings = [Rewording(word, f"{word}事项") for word in made[:1000]]
    return Rules.build(
        fillers=rules.fillers,
        spoken=[*rules.spoken, *rewordings],
        abbreviations=rules.abbreviations,
        question_forms=rules.question_forms,
        synonyms=[*rules.synonyms, *(Synonym(word, f"{word}的") for word in made[1000:2750])],
        terms=[*rules.terms, *(Term(word) for word in made[3000:6000])],
        subjects=rules.subjects,
        places=rules.places,
    )


if __name__ == "__main__":
    main()
