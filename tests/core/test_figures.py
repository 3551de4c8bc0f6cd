"""The figures of a job, against counting its rows one by one; counting in slices, and what is kept of it."""

from __future__ import annotations

import time
import uuid
from itertools import combinations

import numpy as np
import pytest
from sqlalchemy import text

from core import own_taxonomies, removal
from core.accounts import create_account
from core.errors import BadOption, NotFound, NotReady
from core.figures import FigureOptions, JobFigures, Progress, kept
from core.figures.kept import Kept
from core.registry import version_of
from core.results import ResultOptions, Results
from tests.fakes import NullScorer, null_logits
from worker.retention import retire_jobs

N = 600
PRODUCTS = ["lamp", "chair", "desk, oak", ""]
TEXTS = [f"text number {n % 550}" for n in range(N)]
DATES = [f"2025-{1 + n % 3:02d}-{1 + n % 28:02d} 12:00" for n in range(N)]
FILE = (
    "id,product,date,stars,text\n"
    + "".join(
        f'{n},"{PRODUCTS[n % 7 % 4]}",{date},{n % 5 + 1},{said}\n'
        for n, (date, said) in enumerate(zip(DATES, TEXTS, strict=True), start=1000)
    )
).encode()
FOREVER = float("inf")


@pytest.fixture
def job_id(installation) -> uuid.UUID:
    made = installation.accept(FILE)
    installation.run(chunk_records=20)
    return made


@pytest.fixture
def counts(installation, job_id):
    """Opens the job."""

    def open_(taxonomy=None, threshold=None, account_id=None):
        reading = ResultOptions.parse(taxonomy, threshold)
        figures = JobFigures(
            installation.web_db, installation.storage, Results(installation.web_db, installation.storage)
        )
        return figures.open(account_id or installation.account_id, job_id, reading)

    return open_


def opened_by(installation) -> JobFigures:
    results = Results(installation.web_db, installation.storage)
    return JobFigures(installation.web_db, installation.storage, results)


def brute(taxonomy, threshold, texts=TEXTS):
    """Scores, best labels and what is said, row by row."""
    scores = taxonomy.scores(null_logits(texts))
    top, best = taxonomy.top(scores)
    return scores, top, best, taxonomy.selected(scores, threshold)


@pytest.mark.parametrize("name", ["ekman", "goemotions", "sentiment"])
@pytest.mark.parametrize("given", ["auto", "0", "0.29", "0.3", "0.5", "1", "0.12345"])
def test_the_distribution_is_what_rows_say(installation, counts, name, given):
    found = counts(name, given).figures(FigureOptions(), FOREVER)
    taxonomy = installation.model.taxonomies[name]
    _, top, _, said = brute(taxonomy, None if given == "auto" else float(given))
    assert [label.label for label in found.labels] == list(taxonomy.labels)
    assert [label.top.count for label in found.labels] == np.bincount(top, minlength=len(taxonomy.labels)).tolist()
    assert [label.said.count for label in found.labels] == said.sum(axis=0).tolist()
    assert found.none.count == (~said.any(axis=1)).sum()
    assert found.rows == {share.of for label in found.labels for share in (label.top, label.said)}.pop() == N
    together = {
        (taxonomy.labels[one], taxonomy.labels[other]): int((said[:, one] & said[:, other]).sum())
        for one, other in combinations(range(len(taxonomy.labels)), 2)
    }
    assert {pair.labels: pair.share.count for pair in found.together} == {p: n for p, n in together.items() if n}
    shares = [pair.share.count for pair in found.together]
    assert shares == sorted(shares, reverse=True)


def test_sentiment_stands_beside_every_other_taxonomy(installation, counts):
    taxonomy = installation.model.taxonomies["sentiment"]
    _, top, _, _ = brute(taxonomy, None)
    found = counts("goemotions").figures(FigureOptions(), FOREVER)
    assert [share.count for _, share in found.sentiment] == np.bincount(top, minlength=4).tolist()
    assert counts("sentiment").figures(FigureOptions(), FOREVER).sentiment == ()


@pytest.mark.parametrize("given", ["auto", "0.4", "0.12345"])
@pytest.mark.parametrize(
    ("by", "unit", "group_of"),
    [
        ("product", "value", lambda n: PRODUCTS[(n + 1000) % 7 % 4] or "(blank)"),
        ("2", "value", lambda n: PRODUCTS[(n + 1000) % 7 % 4] or "(blank)"),
        ("date", "month", lambda n: DATES[n][:7]),
        ("stars", "value", lambda n: str((n + 1000) % 5 + 1)),
    ],
)
def test_groups_have_the_figures_of_their_rows(installation, counts, given, by, unit, group_of):
    found = counts("ekman", given).figures(FigureOptions(by=by), FOREVER).by
    assert found.unit == unit
    taxonomy = installation.model.taxonomies["ekman"]
    _, top, _, said = brute(taxonomy, None if given == "auto" else float(given))
    of = np.array([group_of(n) for n in range(N)])
    assert sorted(group.name for group in found.groups) == sorted(set(of))
    for group in found.groups:
        rows = of == group.name
        assert group.rows == rows.sum()
        assert [label.top.count for label in group.labels] == np.bincount(top[rows], minlength=7).tolist()
        assert [label.said.count for label in group.labels] == said[rows].sum(axis=0).tolist()
        assert group.none.count == (~said[rows].any(axis=1)).sum()


def test_examples_are_the_highest_scores_and_the_smallest_margins(installation, counts):
    taxonomy = installation.model.taxonomies["ekman"]
    scores, top, best, _ = brute(taxonomy, None)
    margin = best - np.sort(scores, axis=1)[:, -2]
    found = counts("ekman").figures(FigureOptions(examples=None), FOREVER)
    for at, examples in enumerate(found.examples):
        for order, said in ((-best, examples.typical), (margin, examples.uncertain)):
            rows = [row for row in np.argsort(order, kind="stable") if top[row] == at]
            firsts = {}  # a text that comes again counts once, as its first row
            for row in rows:
                firsts.setdefault(TEXTS[row], row + 1)
            assert [example.row for example in said] == list(firsts.values())[:5]
            assert [example.text for example in said] == [TEXTS[example.row - 1] for example in said]
            assert [example.line for example in said] == [example.row + 1 for example in said]
            assert [example.score for example in said] == [best[example.row - 1] for example in said]
            assert [example.margin for example in said] == [margin[example.row - 1] for example in said]
    only = counts("ekman").figures(FigureOptions(examples=["joy"]), FOREVER).examples
    assert only == (found.examples[3],)


def test_own_taxonomies_are_counted_too(installation, counts):
    groups = [("cross", ["anger", "annoyance"]), ("glad", ["joy", "love"]), ("rest", ["neutral"])]
    with installation.web_db.transaction(installation.account_id) as session:
        model = version_of(installation.model)
        own = own_taxonomies.save(session, installation.account_id, "moods", groups, model, new=True)
    found = counts("moods", "0.4").figures(FigureOptions(by="stars", examples=None), FOREVER)
    _, top, _, said = brute(own.taxonomy(installation.model.labels), 0.4)
    assert found.taxonomy == "moods@1"
    assert [label.top.count for label in found.labels] == np.bincount(top, minlength=3).tolist()
    assert [label.said.count for label in found.labels] == said.sum(axis=0).tolist()
    assert sum(group.rows for group in found.by.groups) == N


def test_a_taxonomy_of_one_label_has_no_uncertain_rows(installation, counts):
    with installation.web_db.transaction(installation.account_id) as session:
        model = version_of(installation.model)
        own_taxonomies.save(session, installation.account_id, "one", [("cross", ["anger"])], model, new=True)
    found = counts("one").figures(FigureOptions(examples=None), FOREVER)
    assert found.labels[0].top.count == N
    assert (len(found.examples[0].typical), found.examples[0].uncertain, found.together) == (5, (), ())


def test_rows_that_were_not_scored_are_not_counted(installation):
    def on_text(said: str) -> None:
        if said == "bad":
            raise RuntimeError("no")

    texts = ["fine", "", "bad", "good"]
    job_id = installation.accept("".join(["id,text\n", *(f"{n},{said}\n" for n, said in enumerate(texts))]).encode())
    installation.run(NullScorer(on_text))
    figures = opened_by(installation)
    counts = figures.open(installation.account_id, job_id, ResultOptions())
    found = counts.figures(FigureOptions(by="id", examples=None), FOREVER)
    _, top, _, _ = brute(installation.model.taxonomy, None, ["fine", "good"])
    assert found.rows == 2
    assert [label.top.count for label in found.labels] == np.bincount(top, minlength=7).tolist()
    assert [(group.name, group.rows) for group in found.by.groups] == [("0", 1), ("3", 1)]
    assert {e.row for some in found.examples for e in some.typical} == {1, 4}


def test_counting_goes_on_where_it_stopped(monkeypatch, installation, counts):
    monkeypatch.setattr("core.figures.counting.CHUNKS_PER_READ", 4)
    seen = []
    options = FigureOptions(by="product", examples=None)
    while isinstance(found := counts("goemotions").figures(options, time.monotonic()), Progress):
        seen.append((found.what, found.rows_done, found.rows))
        assert len(seen) < 100
    assert {what for what, *_ in seen} == {"labels", "column"}
    assert max(done for _, done, _ in seen) <= N
    assert len({done for _, done, _ in seen}) > 3
    with installation.web_db.transaction(installation.account_id) as session:
        session.execute(text("DELETE FROM figure"))
    assert counts("goemotions").figures(options, FOREVER) == found


def test_what_is_counted_is_not_counted_again(installation, counts, monkeypatch):
    first = counts("ekman").figures(FigureOptions(by="date", examples=["joy"]), FOREVER)
    monkeypatch.setattr("core.figures.counting.Counting._logits", lambda *_: pytest.fail("counted again"))
    monkeypatch.setattr("core.figures.columns.read", lambda *_: pytest.fail("read again"))
    assert counts("ekman").figures(FigureOptions(by="date", examples=["joy"]), 0.0) == first
    for taxonomy, threshold in (("sentiment", "0.7"), ("goemotions", None), ("ekman", "0.01")):
        assert counts(taxonomy, threshold).figures(FigureOptions(by="date"), 0.0)


def test_a_process_that_is_behind_does_not_undo_what_another_counted(installation, job_id):
    account_id = installation.account_id

    def save(next_chunk: int, *, complete: bool = False) -> None:
        with installation.web_db.transaction(account_id) as session:
            state = Kept({"n": np.array([next_chunk])}, next_chunk, 20 * next_chunk, complete)
            kept.save(session, account_id, job_id, "k", state)

    def load() -> tuple[int, bool]:
        with installation.web_db.transaction(account_id) as session:
            found = kept.load(session, job_id, "k")
            return int(found.arrays["n"][0]), found.complete

    for given, complete, now in [(5, False, 5), (3, False, 5), (8, True, 8), (6, False, 8)]:
        save(given, complete=complete)
        assert load()[0] == now
    assert load() == (8, True)


def test_of_one_job_a_limited_number_is_kept(installation, job_id, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 3)
    monkeypatch.setattr(kept, "LARGEST", 5_000)
    account_id = installation.account_id
    for n in range(6):
        with installation.web_db.transaction(account_id) as session:
            kept.save(session, account_id, job_id, f"k{n}", Kept({"n": np.array([n])}, 1, 1, True))
    with installation.web_db.transaction(account_id) as session:
        kept.save(session, account_id, job_id, "large", Kept({"n": np.random.default_rng(1).random(5_000)}, 1, 1, True))
        keys = session.scalars(text("SELECT key FROM figure ORDER BY key")).all()
    assert keys == ["k3", "k4", "k5"]


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_it_goes_with_the_job(installation, db, job_id, counts, how):
    counts().figures(FigureOptions(by="product"), FOREVER)
    with db.transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM figure")) == 4
    with installation.web_db.transaction(installation.account_id) as session:
        if how == "deleted":
            removal.delete(session, installation.account_id, job_id)
        else:
            session.execute(text("UPDATE job SET finished_at = now() - interval '99 days', expires_at = NULL"))
    retire_jobs(db, 30)
    with db.transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM figure")) == 0


def test_another_accounts_job_is_not_there(db, counts):
    with db.transaction() as session:
        stranger = create_account(session, "stranger")
    with pytest.raises(NotFound):
        counts(account_id=stranger)


def test_a_job_that_runs_has_no_figures_yet(installation):
    job_id = installation.accept(FILE)
    with pytest.raises(NotReady):
        opened_by(installation).open(installation.account_id, job_id, ResultOptions())


@pytest.mark.parametrize(
    ("by", "said"),
    [("colour", "no column"), ("9", "no column"), ("text", "holds the texts"), ("id", "another value")],
)
def test_a_column_that_does_not_do_is_told_apart(counts, by, said):
    with pytest.raises(BadOption, match=said):
        counts().figures(FigureOptions(by=by), FOREVER)


def test_columns_to_choose_from(counts):
    assert [(column.name, column.kind) for column in counts().columns()] == [
        ("product", "name"),
        ("date", "date"),
        ("stars", "number"),
    ]
    assert counts().columns() == counts().columns()


def test_an_unknown_label_has_no_examples(counts):
    with pytest.raises(BadOption, match="bliss"):
        counts().figures(FigureOptions(examples=["bliss"]), FOREVER)
