"""`emobatch admin` for accounts: users who can sign in, keys that open, limits that hold; secrets shown this once."""

from __future__ import annotations

import io
import json
import uuid

import pytest

from core import accounts, keys, passwords, users
from core.errors import NotSignedIn
from core.states import Role, Scope
from emobatch.cli import main


@pytest.fixture
def admin(settings, db, monkeypatch, capsys):
    """Runs a command; its exit code, stdout, stderr."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("STORAGE_URL", settings.storage_url)
    monkeypatch.setenv("EMOBATCH_SECRET_KEY", settings.secret_key.get_secret_value())

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["admin", *words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def account(admin) -> str:
    code, out, _ = admin("add-account", "Acme")
    assert code == 0
    return str(uuid.UUID(out.strip()))


def test_an_account_is_added_and_listed(admin, account):
    _, out, _ = admin("accounts", "--json")
    assert {"Acme", "default"} <= {row["name"] for row in json.loads(out)}
    assert account in out
    assert admin("add-account", " ")[0] == 2


def test_a_user_is_added_changed_and_shut_out(admin, account, web_db, monkeypatch):
    def found():
        with web_db.transaction() as session:
            return users.find_credentials(session, "ada@example.org")

    code, out, _ = admin("add-user", "Ada@example.org", "--account", account, "--role", "admin")
    assert code == 0
    assert passwords.verify(found().password_hash, out.strip())
    assert found().role is Role.ADMIN
    monkeypatch.setattr("sys.stdin", io.StringIO("a password of hers\n"))
    code, out, err = admin("set-password", "ada@example.org", "--password-stdin")
    assert (code, out, err) == (0, "", "")
    assert passwords.verify(found().password_hash, "a password of hers")
    admin("add-user", "bob@example.org", "--account", account, "--role", "admin")
    assert admin("disable-user", "ada@example.org")[0] == 0
    assert found() is None
    assert admin("enable-user", "ada@example.org")[0] == 0
    assert found()
    _, out, _ = admin("users", "--account", account, "--json")
    assert [row["email"] for row in json.loads(out)] == ["ada@example.org", "bob@example.org"]
    assert "argon2" not in out


def test_a_key_is_made_once_listed_and_revoked(admin, account, web_db, settings):
    _, out, _ = admin("add-key", "ci", "--account", account, "--scope", "read", "--days", "7")
    key = out.strip()
    assert accounts.authenticate(web_db, settings, key).scope is Scope.READ
    _, out, _ = admin("keys", "--account", account)
    assert "ci" in out
    assert key.split("_", 2)[2] not in out
    assert admin("revoke-key", str(uuid.UUID(hex=key.split("_")[1])))[0] == 0
    with pytest.raises(NotSignedIn):
        accounts.authenticate(web_db, settings, key)
    assert keys.find(web_db, settings, key) is None


def test_limits_are_shown_and_set(admin, account):
    assert admin("quota", "--account", account, "--set", "rows_a_day=10", "--set", "uploads=0")[0] == 0

    def allowed() -> dict[str, int]:
        return {row["limit"]: row["allowed"] for row in json.loads(admin("quota", "--account", account, "--json")[1])}

    assert (allowed()["rows_a_day"], allowed()["uploads"]) == (10, 0)
    admin("quota", "--account", account, "--set", "rows_a_day=default")
    assert allowed()["rows_a_day"] > 10


@pytest.mark.parametrize(
    "words",
    [
        ("users", "--account", str(uuid.uuid4())),
        ("set-password", "nobody@example.org"),
        ("disable-user", "nobody@example.org"),
        ("revoke-key", str(uuid.uuid4())),
        ("quota", "--account", str(uuid.uuid4())),
        ("add-key", "x", "--account", str(uuid.uuid4())),
    ],
)
def test_what_is_not_there_is_told(admin, words):
    code, out, err = admin(*words)
    assert code == 2
    assert out == ""
    assert "There is no such" in err


@pytest.mark.parametrize("change", ["colour=1", "uploads", "uploads=-1", "uploads=x"])
def test_a_limit_that_is_none_is_a_mistake(admin, account, change):
    code, _, err = admin("quota", "--account", account, "--set", change)
    assert code == 2
    assert "rows_a_day" in err
