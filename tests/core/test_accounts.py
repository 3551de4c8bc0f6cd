"""Keys, users and sessions by themselves: what is stored of a secret, and when each of them ends."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from core import accounts, keys, passwords, sessions, users
from core.accounts import Principal
from core.errors import BadOption, Conflict, LimitExceeded, NotAllowed, NotFound, NotSignedIn
from core.models import DEFAULT_ACCOUNT_ID
from core.states import Role, Scope

PASSWORD = "correct horse battery"


@pytest.fixture
def account_id(db) -> uuid.UUID:
    with db.transaction() as session:
        return accounts.create_account(session, "ours")


@pytest.fixture
def issue(db, settings, account_id):
    """Makes a key."""

    def make(name="ci", **options) -> str:
        with db.transaction() as session:
            return accounts.issue_key(session, settings, account_id, name, **options)

    return make


def who(web_db, settings, presented: str) -> Principal:
    return accounts.authenticate(web_db, settings, presented)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_has_256_random_bits_and_only_its_hmac_is_stored(db, issue):
    key = issue()
    prefix, key_id, secret = key.split("_", 2)
    assert (prefix, len(key_id)) == ("emo", 32)
    assert len(secret) == 43  # 32 bytes in base64url
    with db.transaction() as session:
        stored = session.execute(text("SELECT * FROM api_key")).one()
    assert len(stored.secret_hmac) == 32
    assert secret not in str(stored)


def test_the_hmac_is_of_no_use_without_the_servers_key(web_db, settings, issue):
    key = issue()
    assert who(web_db, settings, key).scope is Scope.WRITE
    elsewhere = settings.model_copy(update={"secret_key": SecretStr("x" * 32)})
    with pytest.raises(NotSignedIn):
        who(web_db, elsewhere, key)


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_may_what_its_scope_says(web_db, settings, issue, account_id, scope):
    principal = who(web_db, settings, issue(scope=scope))
    assert (principal.account_id, principal.scope) == (account_id, scope)
    for asked in Scope:
        if scope.includes(asked):
            principal.require(asked)
        else:
            with pytest.raises(NotAllowed):
                principal.require(asked)


@pytest.mark.parametrize(
    "garble",
    [
        lambda key: key[:-1],
        lambda key: key + "x",
        lambda key: key.replace("emo_", "xyz_"),
        lambda key: key.replace(key.split("_")[1], uuid.uuid4().hex),
        lambda key: key.rsplit("_", 1)[0],
        lambda key: "_".join(key.split("_")[:2]) + "_",
        lambda key: "emo__",
        lambda key: "",
        lambda key: "\0" + key,
    ],
)
def test_only_the_whole_key_opens(web_db, settings, issue, garble):
    with pytest.raises(NotSignedIn):
        who(web_db, settings, garble(issue()))


def test_an_empty_access_token_opens_nothing(web_db, settings, db):
    without = settings.model_copy(update={"access_token": SecretStr("")})
    for presented in ("", "the-token"):
        with pytest.raises(NotSignedIn):
            who(web_db, without, presented)
    assert who(web_db, settings, "the-token") == Principal(DEFAULT_ACCOUNT_ID, Scope.ADMIN)


def test_a_revoked_and_an_expired_key_open_nothing(db, web_db, settings, issue, account_id):
    revoked, expired = issue(), issue(lasts=timedelta(seconds=-1))
    with db.transaction() as session:
        keys.revoke(session, account_id, uuid.UUID(hex=revoked.split("_")[1]))
    for key in (revoked, expired):
        with pytest.raises(NotSignedIn):
            who(web_db, settings, key)
    with db.transaction() as session, pytest.raises(NotFound):
        keys.revoke(session, account_id, uuid.UUID(hex=revoked.split("_")[1]))


def test_when_a_key_was_used_last_is_known_and_seldom_written(db, web_db, settings, issue, account_id):
    key = issue()

    def used():
        with db.transaction() as session:
            (found,) = keys.list_keys(session, account_id)
        return found.last_used_at

    assert used() is None
    who(web_db, settings, key)
    first = used()
    who(web_db, settings, key)
    assert used() == first
    with db.transaction() as session:
        session.execute(text("UPDATE api_key SET last_used_at = last_used_at - interval '2 minutes'"))
    who(web_db, settings, key)
    assert used() >= first


def test_a_key_needs_a_name_and_there_are_not_endlessly_many(db, settings, issue, account_id, monkeypatch):
    for name in ("", "   ", "x" * 101, "a\nb"):
        with pytest.raises(BadOption):
            issue(name)
    monkeypatch.setattr(keys, "MAX_KEYS", 1)
    issue()
    with pytest.raises(LimitExceeded):
        issue()


# --- passwords --------------------------------------------------------------------------------------------------------


def test_a_password_is_kept_as_argon2id_with_owasps_parameters():
    stored = passwords.hash_password(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(stored, PASSWORD)
    assert not passwords.verify(stored, PASSWORD + " ")
    assert not passwords.needs_rehash(stored)
    assert passwords.needs_rehash(stored.replace("t=2", "t=1"))


def test_nobodys_password_is_checked_with_as_much_work(monkeypatch):
    """Not by a clock: the same function runs, on a hash with the same parameters."""
    seen = []

    class Spy:
        def verify(self, stored, password):
            seen.append(stored.split("$")[1:4])
            raise passwords.VerificationError

    monkeypatch.setattr(passwords, "_hasher", Spy())
    assert not passwords.verify(None, PASSWORD)
    assert not passwords.verify("$argon2id$v=19$m=19456,t=2,p=1$salt$hash", PASSWORD)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "a" * 20, "abababababab", "y" * 257])
def test_a_bad_password_is_refused(password):
    with pytest.raises(BadOption):
        passwords.hash_password(password)


def test_a_damaged_hash_is_a_wrong_password():
    assert not passwords.verify("no hash at all", PASSWORD)


def test_generated_passwords_are_good_ones():
    made = {passwords.generate() for _ in range(50)}
    assert len(made) == 50
    assert all(len(password) == 23 for password in made)


# --- users ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def make_user(db, account_id):
    def make(email="ada@example.org", role=Role.MEMBER, password=PASSWORD) -> uuid.UUID:
        with db.transaction() as session:
            return users.create(session, account_id, email, password, role=role)

    return make


def test_an_address_is_one_person_however_it_is_written(web_db, make_user):
    user_id = make_user("Ada@Example.org ")
    with web_db.transaction() as session:
        found = users.find_credentials(session, " ADA@example.ORG")
        assert found is not None
        assert found.user_id == user_id
        assert users.exist(session)
    with pytest.raises(Conflict):
        make_user("ada@EXAMPLE.org")


@pytest.mark.parametrize("email", ["", "ada", "@", "a@", "@b", "a b@c", "a@b@c", "a\0@b", "x" * 255 + "@b.c", "a@b\n"])
def test_what_is_no_address_is_nobody(web_db, make_user, email):
    if email.strip() == email:
        with pytest.raises(BadOption):
            make_user(email)
    with web_db.transaction() as session:
        assert users.find_credentials(session, email) is None


def test_who_is_shut_out_loses_sign_in_sessions_and_keys(db, web_db, settings, account_id, make_user, issue):
    make_user("admin@example.org", Role.ADMIN)
    user_id = make_user()
    key = issue(user_id=user_id)
    with db.transaction() as session:
        principal = Principal(account_id, Scope.WRITE, user_id=user_id)
        session_id = sessions.begin(session, settings, principal, "")
        users.disable(session, account_id, user_id)
        users.disable(session, account_id, user_id)  # twice is harmless
    with web_db.transaction() as session:
        assert users.find_credentials(session, "ada@example.org") is None
    assert sessions.find(web_db, settings, session_id) is None
    with pytest.raises(NotSignedIn):
        who(web_db, settings, key)
    with db.transaction() as session:
        users.enable(session, account_id, user_id)
    with web_db.transaction() as session:
        assert users.find_credentials(session, "ada@example.org")
    with pytest.raises(NotSignedIn):
        who(web_db, settings, key)


def test_an_account_keeps_an_admin(db, account_id, make_user):
    first, second = make_user("a@example.org", Role.ADMIN), make_user("b@example.org", Role.ADMIN)
    with db.transaction() as session:
        users.disable(session, account_id, first)
    for act in (
        lambda session: users.disable(session, account_id, second),
        lambda session: users.set_role(session, account_id, second, Role.MEMBER),
    ):
        with pytest.raises(Conflict), db.transaction() as session:
            act(session)


def test_a_key_may_no_more_than_its_maker_today(db, web_db, settings, account_id, make_user, issue):
    make_user("admin@example.org", Role.ADMIN)
    user_id = make_user(role=Role.ADMIN)
    key = issue(scope=Scope.ADMIN, user_id=user_id)
    assert who(web_db, settings, key).scope is Scope.ADMIN
    with db.transaction() as session:
        users.set_role(session, account_id, user_id, Role.MEMBER)
    assert who(web_db, settings, key).scope is Scope.WRITE


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def begin(db, settings, account_id, make_user):
    """Starts a session of a user, of a key or of the access token."""

    def make(principal: Principal) -> uuid.UUID:
        with db.transaction() as session:
            return sessions.begin(session, settings, principal, "Firefox on Linux")

    return make


def find(web_db, settings, session_id):
    return sessions.find(web_db, settings, session_id)


def test_a_session_is_its_users(web_db, settings, account_id, make_user, begin):
    user_id = make_user(role=Role.ADMIN)
    session_id = begin(Principal(account_id, Scope.ADMIN, user_id=user_id))
    assert find(web_db, settings, session_id) == Principal(account_id, Scope.ADMIN, user_id, None, session_id)
    assert find(web_db, settings, uuid.uuid4()) is None


@pytest.mark.parametrize(
    ("change", "over"),
    [
        ("expires_at = now()", True),
        ("seen_at = now() - interval '3 days'", True),
        ("seen_at = now() - interval '2 days'", False),
    ],
)
def test_a_session_ends_by_itself(db, web_db, settings, begin, change, over):
    session_id = begin(Principal(DEFAULT_ACCOUNT_ID, Scope.ADMIN))
    with db.transaction() as session:
        session.execute(text(f"UPDATE session SET {change}"))
    assert (find(web_db, settings, session_id) is None) is over


def test_being_seen_keeps_a_session_and_is_seldom_written(db, web_db, settings, begin):
    session_id = begin(Principal(DEFAULT_ACCOUNT_ID, Scope.ADMIN))

    def seen():
        with db.transaction() as session:
            return session.scalars(text("SELECT seen_at FROM session")).one()

    first = seen()
    find(web_db, settings, session_id)
    assert seen() == first
    with db.transaction() as session:
        session.execute(text("UPDATE session SET seen_at = now() - interval '2 hours'"))
    find(web_db, settings, session_id)
    assert seen() > first


def test_another_token_ends_the_sessions_of_the_old_one(web_db, settings, begin):
    session_id = begin(Principal(DEFAULT_ACCOUNT_ID, Scope.ADMIN))
    assert find(web_db, settings, session_id)
    for token in ("another", ""):
        assert find(web_db, settings.model_copy(update={"access_token": SecretStr(token)}), session_id) is None


def test_a_revoked_key_ends_its_sessions(db, web_db, settings, account_id, issue, begin):
    key_id = uuid.UUID(hex=issue(scope=Scope.READ).split("_")[1])
    session_id = begin(Principal(account_id, Scope.READ, key_id=key_id))
    found = find(web_db, settings, session_id)
    assert found is not None
    assert found.scope is Scope.READ
    with db.transaction() as session:
        keys.revoke(session, account_id, key_id)
    assert find(web_db, settings, session_id) is None


def test_signing_out_elsewhere_leaves_others_alone(db, web_db, settings, account_id, make_user, begin):
    me, other = make_user("a@example.org"), make_user("b@example.org")
    mine = Principal(account_id, Scope.WRITE, user_id=me)
    here, there = begin(mine), begin(mine)
    theirs = begin(Principal(account_id, Scope.WRITE, user_id=other))
    with web_db.transaction(account_id) as session:
        assert {one.id for one in sessions.list_sessions(session, mine)} == {here, there}
        with pytest.raises(NotFound):
            sessions.end(session, mine, theirs)
        assert sessions.end_all(session, mine, but=here) == 1
    assert [bool(find(web_db, settings, one)) for one in (here, there, theirs)] == [True, False, True]


def test_the_sweeper_removes_what_is_over(db, begin):
    begin(Principal(DEFAULT_ACCOUNT_ID, Scope.ADMIN))
    with db.transaction() as session:
        session.execute(text("UPDATE session SET expires_at = now() - interval '1 second'"))
        sessions.remove_expired(session)
        assert session.scalars(text("SELECT count(*) FROM session")).one() == 0
