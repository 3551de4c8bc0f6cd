"""A user's own taxonomies: what is taken, versions that never change, and scores as the documentation says."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from core import own_taxonomies
from core.accounts import create_account
from core.errors import BadOption, Conflict, LimitExceeded, NotFound
from core.registry import version_of
from core.results import ResultOptions, Results
from core.results.query import RowQuery
from core.taxonomy import sigmoid
from tests.fakes import null_logits

MOODS = [("cross", ["annoyance", "anger"]), ("glad", ["joy", "love"]), ("none", ["neutral"])]


@pytest.fixture
def model(installation):
    return version_of(installation.model)


@pytest.fixture
def save(installation, model):
    def save(name="moods", groups=MOODS, account_id=None, new=None):
        account_id = account_id or installation.account_id
        with installation.web_db.transaction(account_id) as session:
            if new is None:
                new = name not in {kept.name for kept in own_taxonomies.list_current(session, account_id)}
            return own_taxonomies.save(session, account_id, name, groups, model, new=new)

    return save


@pytest.fixture
def find(installation):
    def find(reference, account_id=None):
        account_id = account_id or installation.account_id
        with installation.web_db.transaction(account_id) as session:
            return own_taxonomies.find(session, account_id, reference)

    return find


def test_editing_makes_a_version_and_leaves_the_old_one(save, find):
    first = save()
    assert (first.reference, save().reference) == ("moods@1", "moods@1")  # saying the same is no version
    assert save(groups=[("cross", ["anger", "annoyance"]), *MOODS[1:]]).version == 1  # nor is another order of members
    second = save(groups=MOODS[:2])
    assert second.version == 2
    assert find("moods") == second
    assert find("moods@1") == first
    assert first.groups == (("cross", ("anger", "annoyance")), ("glad", ("joy", "love")), ("none", ("neutral",)))


def test_a_deleted_name_is_free_and_its_versions_stay_readable(installation, save, find):
    first = save()
    with installation.web_db.transaction(installation.account_id) as session:
        own_taxonomies.delete(session, installation.account_id, "moods")
        assert own_taxonomies.list_current(session, installation.account_id) == []
    with pytest.raises(NotFound):
        find("moods")
    assert find("moods@1").groups == first.groups
    assert save(groups=MOODS[:1], new=True).reference == "moods@2"
    assert find("moods@1").groups == first.groups


def test_a_new_one_does_not_replace_another_and_an_edit_makes_no_new_one(save):
    save()
    with pytest.raises(Conflict):
        save(groups=MOODS[:1], new=True)
    with pytest.raises(NotFound):
        save("other", new=False)


def test_it_belongs_to_its_account(installation, db, save, find):
    save()
    with db.transaction() as session:
        stranger = create_account(session, "stranger")
    with pytest.raises(NotFound):
        find("moods", stranger)
    assert save(groups=MOODS[:1], account_id=stranger).version == 1
    assert len(find("moods").groups) == 3


def test_an_account_has_a_limited_number(save, monkeypatch):
    monkeypatch.setattr(own_taxonomies, "MOST", 2)
    save("one")
    save("two")
    save("two", MOODS[:1])
    with pytest.raises(LimitExceeded):
        save("three")


@pytest.mark.parametrize(
    ("name", "groups", "said"),
    [
        ("", MOODS, "cannot be called"),
        ("a@1", MOODS, "cannot be called"),
        ("a/b", MOODS, "cannot be called"),
        (" a", MOODS, "cannot be called"),
        ("a" * 41, MOODS, "cannot be called"),
        ("ekman", MOODS, "the model's own"),
        ("moods", [], "needs a group"),
        ("moods", [("", ["joy"])], "group cannot be called"),
        ("moods", [("a|b", ["joy"])], "group cannot be called"),
        ("moods", [("a\nb", ["joy"])], "group cannot be called"),
        ("moods", [("a", ["joy"]), ("A", ["love"])], "Two groups"),
        ("moods", [("a", [])], "is empty"),
        ("moods", [("a", ["joy", "bliss"])], "no label 'bliss'"),
        ("moods", [("a", ["joy"]), ("b", ["joy"])], "'joy' is in 'a' and in 'b'"),
        ("moods", [("a", ["joy", "joy"])], "'joy' is in 'a' and in 'a'"),
    ],
)
def test_what_is_wrong_is_said(save, name, groups, said):
    with pytest.raises(BadOption, match=said):
        save(name, groups)


@pytest.mark.parametrize("reference", ["moods@", "moods@x", "moods@0", "moods@2", "moods@1@1", "moods@99999999999", ""])
def test_a_reference_that_means_nothing_is_not_found(save, find, reference):
    save()
    with pytest.raises(NotFound):
        find(reference)


def test_results_are_read_with_it(installation, save):
    save()
    texts = [f"text number {n}" for n in range(150)]
    job_id = installation.accept("".join(["text\n", *(f"{text}\n" for text in texts)]).encode())
    installation.run(chunk_records=20)
    p = sigmoid(null_logits(texts))
    at = installation.model.labels.index
    raw = np.stack(
        [
            1 - (1 - p[:, at("anger")]) * (1 - p[:, at("annoyance")]),
            1 - (1 - p[:, at("joy")]) * (1 - p[:, at("love")]),
            p[:, at("neutral")],
        ],
        axis=1,
    )
    labels = ["cross", "glad", "none"]
    results = Results(installation.web_db, installation.storage)
    opened = results.open(installation.account_id, job_id, ResultOptions.parse("moods"))
    rows = opened.page(limit=150).rows
    assert [row["emotion"] for row in rows] == [labels[best] for best in raw.argmax(axis=1)]
    assert [row["emotion_score"] for row in rows] == pytest.approx(raw.max(axis=1), abs=6e-5)
    assert [row["emotions"] for row in rows] == [[labels[k] for k in range(3) if one[k] >= 0.5] for one in raw]
    found = [row["row"] for row in opened.page(RowQuery(label="glad"), limit=150).rows]
    assert found == [number for number, best in enumerate(raw.argmax(axis=1), start=1) if best == 1]
    before = installation.csv(job_id, taxonomy="moods")
    assert b"cross" in before
    save(groups=MOODS[1:])
    assert b"cross" not in installation.csv(job_id, taxonomy="moods")
    assert installation.csv(job_id, taxonomy="moods@1") == before


def test_an_unknown_one_is_told_with_what_there_is(installation, save):
    save()
    job_id = installation.accept(b"text\nfine day\n")
    installation.run()
    with pytest.raises(BadOption, match="moods") as caught:
        installation.csv(job_id, taxonomy="mods")
    assert "ekman" in caught.value.next_step
    with pytest.raises(BadOption):
        Results(installation.web_db, installation.storage).open(
            installation.account_id, job_id, ResultOptions.parse(str(uuid.uuid4()))
        )
