"""Who may do what: every route of the app, asked by everybody there could be.

The routes come from the URL map, so a new one fails here until `ROUTES` says what it takes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from core import accounts, deliveries, keys, own_taxonomies, passwords, registry, webhooks
from core.models import User
from core.review.reviews import Reviews
from core.states import Role, Scope
from core.transfers import Transfers
from tests.web.conftest import CSV


class Takes(Enum):
    """What whoever asks must be."""

    NOTHING = 0  # open to everybody
    READ = 1  # an API key with the scope "read", or anything more
    WRITE = 2  # ... "write", or anything more
    MEMBER = 3  # a member's session, or anything more
    ADMIN = 4  # an API key with the scope "admin", or an admin's session


@dataclass(frozen=True)
class Route:
    """What a route takes, and what to send so that nothing but the right to send it can be wrong."""

    takes: Takes
    send: dict[str, Any] = field(default_factory=dict)


OPEN, READ, WRITE, MEMBER, ADMIN = (Route(takes) for takes in Takes)

ROW = 3
"""An empty one of `CSV`: nobody has to be asked about it."""
GROUPS = [{"label": "cross", "members": ["anger"]}]

FORM = {
    "data": b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    + CSV
    + b"\r\n--edge--\r\n",
    "content_type": "multipart/form-data; boundary=edge",
}

TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}

ROUTES = {
    # --- the API
    "GET /api/v1/openapi.json": OPEN,
    "GET /api/v1/health": OPEN,
    "GET /api/v1/ready": OPEN,
    "GET /api/v1/models": READ,
    "POST /api/v1/jobs": Route(Takes.WRITE, {"data": CSV, "content_type": "text/csv"}),
    "GET /api/v1/jobs": READ,
    "POST /api/v1/uploads": Route(Takes.WRITE, {"headers": TUS | {"Upload-Length": "1"}}),
    "GET /api/v1/uploads/<upload_id>": READ,
    "PATCH /api/v1/uploads/<upload_id>": Route(Takes.WRITE, {"headers": TUS | {"Upload-Offset": "0"}, "data": b""}),
    "DELETE /api/v1/uploads/<upload_id>": Route(Takes.WRITE, {"headers": TUS}),
    "POST /api/v1/uploads/<upload_id>": Route(Takes.WRITE, {"headers": TUS | {"X-HTTP-Method-Override": "DELETE"}}),
    "POST /api/v1/uploads/<upload_id>/complete": WRITE,
    "GET /api/v1/jobs/<job_id>": READ,
    "DELETE /api/v1/jobs/<job_id>": WRITE,
    "POST /api/v1/jobs/<job_id>/cancel": WRITE,
    "GET /api/v1/jobs/<job_id>/failed.csv": READ,
    "POST /api/v1/jobs/<job_id>/fixed": Route(Takes.WRITE, {"data": CSV, "content_type": "text/csv"}),
    "GET /api/v1/jobs/<job_id>/results.csv": READ,
    "GET /api/v1/jobs/<job_id>/results.jsonl": READ,
    "GET /api/v1/jobs/<job_id>/results.parquet": READ,
    "GET /api/v1/jobs/<job_id>/results.xlsx": READ,
    "GET /api/v1/jobs/<job_id>/rows": READ,
    "GET /api/v1/jobs/<job_id>/rows/<int:row>": READ,
    "GET /api/v1/jobs/<job_id>/rows/<int:row>/words": READ,
    "GET /api/v1/jobs/<job_id>/summary": READ,
    "POST /api/v1/jobs/<job_id>/review": Route(Takes.WRITE, {"json": {}}),
    "GET /api/v1/jobs/<job_id>/review": READ,
    "DELETE /api/v1/jobs/<job_id>/review": WRITE,
    "GET /api/v1/jobs/<job_id>/review/rows": READ,
    "PUT /api/v1/jobs/<job_id>/review/rows/<int:row>": Route(Takes.WRITE, {"json": {"verdict": "unsure"}}),
    "DELETE /api/v1/jobs/<job_id>/review/rows/<int:row>": WRITE,
    "GET /api/v1/jobs/<job_id>/review/results": READ,
    "GET /api/v1/jobs/<job_id>/corrections": READ,
    "PUT /api/v1/jobs/<job_id>/corrections/<int:row>": Route(Takes.WRITE, {"json": {"labels": ["joy"]}}),
    "DELETE /api/v1/jobs/<job_id>/corrections/<int:row>": WRITE,
    "GET /api/v1/jobs/<job_id>/corrections.tsv": READ,
    "GET /api/v1/jobs/<job_id>/corrections.csv": READ,
    "GET /api/v1/jobs/<job_id>/corrections.toml": READ,
    "POST /api/v1/jobs/<job_id>/again": WRITE,
    "GET /api/v1/jobs/<job_id>/compare/<other_id>": READ,
    "GET /api/v1/jobs/<job_id>/compare/<other_id>/changes.csv": READ,
    "GET /api/v1/jobs/<job_id>/summary.md": READ,
    "GET /api/v1/jobs/<job_id>/summary/<chart>.svg": READ,
    "GET /api/v1/jobs/<job_id>/summary/<chart>.csv": READ,
    "GET /api/v1/taxonomies": READ,
    "POST /api/v1/taxonomies": Route(Takes.WRITE, {"json": {"name": "", "groups": []}}),
    "GET /api/v1/taxonomies/<name>": READ,
    "PUT /api/v1/taxonomies/<name>": Route(Takes.WRITE, {"json": {"groups": GROUPS}}),
    "DELETE /api/v1/taxonomies/<name>": WRITE,
    "POST /api/v1/classify": Route(Takes.WRITE, {"json": {"texts": []}}),
    "POST /api/v1/preview": Route(Takes.WRITE, {"data": b""}),
    "POST /api/v1/webhooks": Route(Takes.WRITE, {"json": {"url": "https://127.0.0.1/"}}),
    "GET /api/v1/webhooks": READ,
    "GET /api/v1/webhooks/<webhook_id>": READ,
    "DELETE /api/v1/webhooks/<webhook_id>": WRITE,
    "POST /api/v1/webhooks/<webhook_id>/rotate": WRITE,
    "POST /api/v1/webhooks/<webhook_id>/enable": WRITE,
    "POST /api/v1/webhooks/<webhook_id>/test": WRITE,
    "GET /api/v1/webhooks/<webhook_id>/deliveries": READ,
    "POST /api/v1/deliveries/<delivery_id>/again": WRITE,
    "GET /api/v1/account": READ,
    "GET /api/v1/keys": MEMBER,
    "POST /api/v1/keys": Route(Takes.MEMBER, {"json": {"name": "another"}}),
    "DELETE /api/v1/keys/<key_id>": MEMBER,
    # --- the pages
    "GET /": READ,
    "POST /": Route(Takes.WRITE, FORM),
    "GET /jobs": READ,
    "GET /recent": READ,
    "GET /jobs/<job_id>": READ,
    "GET /jobs/<job_id>/live": READ,
    "GET /jobs/<job_id>/rows": READ,
    "GET /jobs/<job_id>/summary": READ,
    "GET /taxonomies": READ,
    "GET /taxonomies/new": READ,
    "POST /taxonomies": Route(Takes.WRITE, {"data": {"name": ""}}),
    "GET /taxonomies/<name>": READ,
    "POST /taxonomies/<name>/delete": WRITE,
    "GET /jobs/<job_id>/rows/<int:row>": READ,
    "GET /jobs/<job_id>/rows/<int:row>/words": READ,
    "POST /jobs/<job_id>/cancel": WRITE,
    "POST /jobs/<job_id>/delete": WRITE,
    "GET /jobs/<job_id>/check": READ,
    "POST /jobs/<job_id>/check": Route(Takes.WRITE, {"data": {}}),
    "POST /jobs/<job_id>/check/remove": Route(Takes.WRITE, {"data": {}}),
    "GET /jobs/<job_id>/check/teaser": READ,
    "GET /jobs/<job_id>/check/card": READ,
    "POST /jobs/<job_id>/check/card": Route(Takes.WRITE, {"data": {"row": str(ROW), "labels": "joy"}}),
    "POST /jobs/<job_id>/check/undo": Route(Takes.WRITE, {"data": {}}),
    "GET /jobs/<job_id>/rows/<int:row>/correction": READ,
    "POST /jobs/<job_id>/rows/<int:row>/correction": Route(Takes.WRITE, {"data": {"labels": "joy"}}),
    "POST /jobs/<job_id>/again": WRITE,
    "GET /jobs/<job_id>/compare/<other_id>": READ,
    "POST /jobs/<job_id>/fixed": Route(Takes.WRITE, FORM),
    "GET /try": READ,
    "POST /try": Route(Takes.WRITE, {"data": {"text": ""}}),
    "POST /preview": Route(Takes.WRITE, {"data": b""}),
    "POST /preview/labels": Route(Takes.WRITE, {"data": {"low": "x"}}),
    "GET /sign-in": OPEN,
    "POST /sign-in": Route(Takes.NOTHING, {"data": {"token": "wrong"}}),
    "POST /sign-out": OPEN,
    "GET /docs": OPEN,
    "GET /favicon.ico": OPEN,
    "GET /account": READ,
    "POST /account/keys": MEMBER,
    "POST /account/keys/<key_id>/revoke": MEMBER,
    "POST /account/password": MEMBER,
    "POST /account/sessions/end": READ,
    "POST /account/sessions/<session_id>/end": READ,
    "POST /account/members": ADMIN,
    "POST /account/members/<user_id>/password": ADMIN,
    "POST /account/members/<user_id>/role": ADMIN,
    "POST /account/members/<user_id>/disable": ADMIN,
    "POST /account/members/<user_id>/enable": ADMIN,
    # --- files that are the same for everybody
    "GET /static/<path:filename>": OPEN,
    "GET /static/htmx/<path:filename>": OPEN,
    "GET /bootstrap/static/<path:filename>": OPEN,
}

MISSING = (
    "ROUTES in tests/web/test_authorisation.py must name every route of the app, with what it takes. For an id of a new"
    " kind in an address, add to Ground.ids how one is made. This is missing there, or no longer in the app: "
)

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def password_hash() -> str:
    return passwords.hash_password("a password for tests")


class Ground:
    """Two accounts with everything in them that a route could be asked for, and everybody who could ask."""

    def __init__(self, app, installation, password_hash: str) -> None:
        self.app = app
        self.installation = installation
        self.settings = installation.settings
        self._hash = password_hash
        with installation.db.transaction() as session:
            self.ours = accounts.create_account(session, "ours")
            theirs = accounts.create_account(session, "theirs")
            made = {
                "read-only key": self._key(session, self.ours, Scope.READ),
                "member's key": self._key(session, self.ours, Scope.WRITE),
                "admin's key": self._key(session, self.ours, Scope.ADMIN),
                "other account's key": self._key(session, theirs, Scope.ADMIN),
                "revoked key": self._key(session, self.ours, Scope.ADMIN),
                "expired key": self._key(session, self.ours, Scope.ADMIN, lasts=timedelta(seconds=-1)),
            }
            revoked = uuid.UUID(hex=made["revoked key"].split("_")[1])
            keys.revoke(session, self.ours, revoked)
            self.member = self._user(session, self.ours, Role.MEMBER)
            admin = self._user(session, self.ours, Role.ADMIN)
            disabled = self._user(session, self.ours, Role.ADMIN)
            stranger = self._user(session, theirs, Role.ADMIN)
            session.execute(text("UPDATE app_user SET disabled_at = now() WHERE id = :id"), {"id": disabled})
        self.by_header = {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}
        self.by_header |= {
            "nobody": {},
            "wrong key": {"Authorization": "Bearer " + made["admin's key"][:-1]},
            "garbage": {"Authorization": "Basic eDp5"},
        }
        self.by_cookie = {
            "member's session": (self.ours, self.member, {}),
            "admin's session": (self.ours, admin, {}),
            "other account's session": (theirs, stranger, {}),
            "disabled user's session": (self.ours, disabled, {}),
            "session over": (self.ours, admin, {"expires_at": "now()"}),
            "session left alone": (self.ours, admin, {"seen_at": "now() - interval '4 days'"}),
        }
        self._done: bytes | None = None

    def _key(self, session, account_id, scope, **options) -> str:
        return accounts.issue_key(session, self.settings, account_id, scope, scope=scope, **options)

    def _user(self, session, account_id, role) -> uuid.UUID:
        user = User(account_id=account_id, email=f"{uuid.uuid4()}@example.org", role=role, password_hash=self._hash)
        session.add(user)
        session.flush()
        return user.id

    def ids(self, who: str) -> dict[str, Any]:
        """Makes one of everything that an address can name, of our account and for whoever asks: placeholder, id."""
        self.installation.account_id = self.ours
        return {
            "job_id": self._finished_job,
            "other_id": self._finished_job,
            "row": lambda: ROW,
            "upload_id": self._upload_begun,
            "webhook_id": self._webhook,
            "delivery_id": self._delivery,
            "name": self._taxonomy,
            "chart": lambda: "top",
            "key_id": partial(self._key_of, who),
            "session_id": partial(self._session_of, who),
            "user_id": self._another_user,
        }

    def _webhook(self) -> uuid.UUID:
        with self.installation.db.transaction() as session:
            return webhooks.create(session, self.ours, "https://example.org/", webhooks.CHOOSABLE).id

    def _delivery(self) -> uuid.UUID:
        webhook_id = self._webhook()
        with self.installation.db.transaction() as session:
            return deliveries.send_test(session, self.ours, webhook_id).id

    def _taxonomy(self) -> str:
        name = f"moods {uuid.uuid4().hex[:8]}"
        model = registry.version_of(self.installation.model)
        with self.installation.db.transaction() as session:
            own_taxonomies.save(session, self.ours, name, [("cross", ["anger"])], model, new=True)
        return name

    def _key_of(self, who: str) -> uuid.UUID:
        owner = self.by_cookie[who][1] if who in self.by_cookie else None
        with self.installation.db.transaction() as session:
            return uuid.UUID(hex=self._key(session, self.ours, Scope.READ, user_id=owner).split("_")[1])

    def _another_user(self) -> uuid.UUID:
        with self.installation.db.transaction() as session:
            return self._user(session, self.ours, Role.MEMBER)

    def _session_of(self, who: str) -> uuid.UUID:
        if who in self.by_cookie:
            return self._session("user_id", self.by_cookie[who][1])
        return self._session("key_id", uuid.UUID(hex=self.by_header[who]["Authorization"].split("_")[1]))

    def _session(self, column: str, owner: uuid.UUID, changes: dict[str, str] | None = None) -> uuid.UUID:
        session_id = uuid.uuid4()
        values = {"expires_at": "now() + interval '1 hour'", "seen_at": "now()"} | (changes or {})
        table = {"user_id": "app_user", "key_id": "api_key"}[column]
        with self.installation.db.transaction() as session:
            session.execute(
                text(
                    f"INSERT INTO session (id, account_id, {column}, expires_at, seen_at) SELECT"
                    f" :id, account_id, id, {values['expires_at']}, {values['seen_at']} FROM {table} WHERE id = :of"
                ),
                {"id": session_id, "of": owner},
            )
        return session_id

    def _finished_job(self) -> uuid.UUID:
        job_id = self.installation.accept(CSV)
        self.installation.run()
        Reviews(self.installation.web_db).draw(self.ours, job_id, size=10)
        with self.installation.db.transaction() as session:
            session.execute(text("UPDATE review_row SET row_no = :row WHERE row_no = 4"), {"row": ROW})
        return job_id

    def _upload_begun(self) -> uuid.UUID:
        settings = self.installation.settings
        transfers = Transfers(
            self.installation.web_db, self.installation.storage, settings, self.installation.uploads()
        )
        return transfers.create(self.ours, 9, {}).id

    def ask(self, who: str, method: str, path: str, route: Route):
        """Sends a request as somebody."""
        client = self.app.test_client()
        headers = dict(OWN_PAGE)
        if who in self.by_header:
            headers |= self.by_header[who]
        else:
            self._sign_in(client, *self.by_cookie[who])
        headers |= route.send.get("headers", {})
        return client.open(path, method=method, **(route.send | {"headers": headers}))

    def _sign_in(self, client, account_id, user_id, changes) -> None:
        session_id = self._session("user_id", user_id, changes)
        with client.session_transaction() as cookie:
            cookie["id"] = session_id.hex


@pytest.fixture
def ground(app, installation, password_hash) -> Ground:
    return Ground(app, installation, password_hash)


STRANGERS = (
    *("nobody", "wrong key", "garbage", "revoked key", "expired key"),
    *("disabled user's session", "session over", "session left alone"),
)
SCOPES = {
    "read-only key": Takes.READ,
    "member's key": Takes.WRITE,
    "member's session": Takes.MEMBER,
    "admin's key": Takes.ADMIN,
    "admin's session": Takes.ADMIN,
}
OTHERS = ("other account's key", "other account's session")

FILES = {
    "static": "site.css",
    "htmx.static": "htmx.min.js",
    "bootstrap.static": "css/bootstrap.min.css",
}


def rules(app) -> dict[str, Any]:
    """Every route: method and address, rule."""
    return {
        f"{method} {rule.rule}": rule
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
    }


def test_every_route_is_named(app):
    assert set(ROUTES) ^ set(rules(app)) == set(), MISSING


def test_what_is_missing_is_noticed(app):
    app.view_functions["new"] = lambda: "hello"
    app.url_map.add(app.url_rule_class("/new", endpoint="new", methods=["GET"]))
    with pytest.raises(AssertionError, match="ROUTES in tests/web/test_authorisation"):
        test_every_route_is_named(app)


@pytest.mark.parametrize("name", ROUTES)
def test_who_may(app, ground, name):
    route, (method, address) = ROUTES[name], name.split(" ")
    rule = rules(app)[name]
    unknown: dict[str, Any] = {argument: ROW if argument == "row" else uuid.uuid4() for argument in rule.arguments}
    if rule.endpoint in FILES:
        unknown = {"filename": FILES[rule.endpoint]}

    def ask(who: str, values: dict[str, Any]):
        path = address
        for argument, value in values.items():
            for placeholder in (f"<path:{argument}>", f"<int:{argument}>", f"<{argument}>"):
                path = path.replace(placeholder, str(value))
        answer = ground.ask(who, method, path, route)
        is_protected(answer, f"{name} for {who}")
        return answer

    for who in STRANGERS:
        answer = ask(who, unknown)
        if name != "POST /sign-out":
            assert is_refused(answer, name) is (route.takes is not Takes.NOTHING), (who, answer.status_code)
    if route.takes is Takes.NOTHING:
        return
    known = set(ground.ids("admin's session"))
    assert rule.arguments <= known, MISSING + str(rule.arguments - known)

    def made_for(who: str) -> dict[str, Any]:
        make = ground.ids(who)
        return {argument: make[argument]() for argument in rule.arguments}

    if rule.arguments:
        existing = made_for("admin's session")
        for who in OTHERS:
            none, anothers = ask(who, unknown), ask(who, existing)
            assert (none.status_code, anothers.status_code) == (404, 404), who
            assert none.data == anothers.data, who
            assert dict(none.headers) == dict(anothers.headers), who
    for who, scope in SCOPES.items():
        answer = ask(who, made_for(who))
        if scope.value >= route.takes.value:
            assert answer.status_code not in (401, 403, 404, 405), (who, answer.status_code)
            assert answer.status_code < 500, (who, answer.text)
            assert name == "POST /account/sessions/end" or not is_refused(answer, name), who
        else:
            assert answer.status_code == 403, (who, answer.status_code)
            assert b"not_allowed" in answer.data or answer.mimetype == "text/html"


def is_refused(answer, name: str) -> bool:
    """Whether somebody was taken for nobody: a program is told so, a person is sent to the sign-in."""
    if " /api/" in name:
        return answer.status_code == 401 and answer.json["code"] == "not_signed_in"
    return answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in")


def is_protected(answer, what: str) -> None:
    """Whether an answer, whatever it is, has the headers that every one must have."""
    policy = answer.headers.get("Content-Security-Policy", "")
    assert policy.startswith("default-src 'none'"), what
    assert "unsafe" not in policy, what
    assert answer.headers.get("X-Content-Type-Options") == "nosniff", what
    assert answer.headers.get("X-Frame-Options") == "DENY", what
    assert answer.headers.get("Referrer-Policy") == "same-origin", what
    assert answer.headers.get("Cross-Origin-Opener-Policy") == "same-origin", what
    assert answer.headers.get("Cross-Origin-Resource-Policy") == "same-origin", what
    assert answer.headers.get("Cache-Control"), what
    assert "Server" not in answer.headers, what
