"""Signing in with a password, and the page and API of one's account."""

from __future__ import annotations

import re
import uuid

import pytest
from sqlalchemy import text

from core import accounts, users
from core.states import Role, Scope
from tests.web.conftest import CSV, TOKEN, Asker

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "correct horse battery"


@pytest.fixture
def account_id(db) -> uuid.UUID:
    with db.transaction() as session:
        return accounts.create_account(session, "Acme")


@pytest.fixture
def make_user(db, account_id):
    def make(email: str = "ada@example.org", role: Role = Role.MEMBER) -> uuid.UUID:
        with db.transaction() as session:
            return users.create(session, account_id, email, PASSWORD, role=role)

    return make


@pytest.fixture
def browse(app, make_user):
    """A browser in which somebody has signed in with their password."""

    def sign_in(email: str = "ada@example.org", role: Role = Role.MEMBER, *, new: bool = True):
        if new:
            make_user(email, role)
        browser = app.test_client()
        answer = enter(browser, email, PASSWORD)
        assert answer.status_code == 303, answer.text
        return browser

    return sign_in


def enter(browser, email: str, password: str, **more):
    return browser.post("/sign-in", data={"email": email, "password": password}, headers=OWN_PAGE, **more)


def send(browser, path: str, **fields: str):
    return browser.post(path, data=fields, headers=OWN_PAGE)


def cookie_of(browser) -> str:
    with browser.session_transaction() as kept:
        return kept["id"]


# --- signing in -------------------------------------------------------------------------------------------------------


def test_a_password_signs_in_to_its_users_account(browse, account_id, db):
    browser = browse("Ada@Example.org")
    page = browser.get("/account").text
    assert "Acme" in page
    assert "ada@example.org" in page
    with db.transaction() as session:
        assert session.scalars(text("SELECT signed_in_at FROM app_user")).one()


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.org", "wrong"),
        ("ada@example.org", ""),
        ("nobody@example.org", PASSWORD),
        ("ada", PASSWORD),
        ("", ""),
        ("ada@example.org\0", PASSWORD),
        ("x" * 10_000, "y" * 10_000),
    ],
)
def test_a_wrong_password_and_a_wrong_address_are_told_alike(client, make_user, email, password):
    make_user()
    refused = enter(client, email, password)
    assert refused.status_code == 401
    assert "The e-mail address or the password is not right." in refused.text
    assert "Set-Cookie" not in refused.headers


def test_a_weaker_hash_is_replaced_at_the_next_sign_in(client, make_user, db):
    from argon2 import PasswordHasher

    make_user()
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with db.transaction() as session:
        session.execute(text("UPDATE app_user SET password_hash = :weak"), {"weak": weak})
    assert enter(client, "ada@example.org", PASSWORD).status_code == 303
    with db.transaction() as session:
        assert "m=19456,t=2,p=1" in session.scalars(text("SELECT password_hash FROM app_user")).one()
    assert enter(client, "ada@example.org", PASSWORD).status_code == 303


def test_guesses_at_one_password_come_to_an_end(make_app, make_user):
    make_user()
    app = make_app(guesses_a_quarter=3)
    for n in range(3):
        address = {"REMOTE_ADDR": f"198.51.100.{n}"}
        assert enter(app.test_client(), "ada@example.org", "guess", environ_overrides=address).status_code == 401
    refused = enter(app.test_client(), "ADA@example.org", PASSWORD)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"]
    assert enter(app.test_client(), "bob@example.org", PASSWORD).status_code == 401


def test_every_sign_in_is_another_session_and_ends_the_one_before(browse, app):
    browser = browse()
    first = cookie_of(browser)
    copied = app.test_client()
    with copied.session_transaction() as kept:
        kept["id"] = first
    assert copied.get("/jobs").status_code == 200
    enter(browser, "ada@example.org", PASSWORD)
    assert cookie_of(browser) != first
    assert copied.get("/jobs").status_code == 303


def test_a_sign_in_fixes_no_session_that_was_there_before(client, make_user):
    make_user()
    planted = uuid.uuid4().hex
    with client.session_transaction() as kept:
        kept["id"] = planted
    enter(client, "ada@example.org", PASSWORD)
    assert cookie_of(client) != planted


def test_over_https_the_cookie_has_a_name_no_other_host_can_set(client, make_user):
    make_user()
    secure = {"base_url": "https://localhost"}
    answer = enter(client, "ada@example.org", PASSWORD, **secure)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-emobatch_")
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    assert client.get("/jobs", **secure).status_code == 200


def test_on_a_laptop_nothing_asks_for_a_password(client, db):
    page = client.get("/sign-in").text
    assert "password" not in re.sub(r'type="password"|autocomplete="[^"]*"', "", page).lower()
    assert client.get(f"/sign-in?token={TOKEN}").status_code == 303
    assert client.get("/account").status_code == 200


# --- keys -------------------------------------------------------------------------------------------------------------


def key_in(page: str) -> str:
    return re.search(r'<code class="secret">(emo_[0-9a-f]{32}_[\w-]{43})</code>', page).group(1)


def test_a_key_is_made_shown_once_used_and_revoked(browse, app):
    browser = browse()
    made = send(browser, "/account/keys", name="nightly", scope="read", days="30")
    key = key_in(made.text)
    assert made.headers["Cache-Control"] == "no-store"
    page = browser.get("/account").text
    assert key not in page
    assert "nightly" in page
    program = Asker(app.test_client(), key)
    assert program("GET", "/jobs").status_code == 200
    refused = program("POST", "/jobs", data=CSV)
    assert (refused.status_code, refused.json["code"]) == (403, "not_allowed")
    key_id = uuid.UUID(hex=key.split("_")[1])
    assert send(browser, f"/account/keys/{key_id}/revoke").status_code == 303
    assert program("GET", "/jobs").status_code == 401
    assert send(browser, f"/account/keys/{key_id}/revoke").status_code == 404


def test_nobody_makes_a_key_that_may_more_than_they(browse):
    refused = send(browse(), "/account/keys", name="x", scope="admin", days="")
    assert refused.status_code == 403
    assert key_in(send(browse("b@example.org", Role.ADMIN), "/account/keys", name="x", scope="admin", days="").text)


@pytest.mark.parametrize("fields", [{"name": ""}, {"scope": "all"}, {"days": "5"}, {"days": "x"}, {"name": "x" * 101}])
def test_a_mistake_is_told_on_the_page(browse, fields):
    refused = send(browse(), "/account/keys", **({"name": "a", "scope": "read", "days": "30"} | fields))
    assert refused.status_code == 422
    assert "notice bad" in refused.text


def test_members_see_their_own_keys_and_admins_all(browse):
    member, admin = browse(), browse("b@example.org", Role.ADMIN)
    send(member, "/account/keys", name="hers", scope="read", days="")
    made = send(admin, "/account/keys", name="the admin's", scope="read", days="")
    assert "hers" in made.text
    assert "the admin" not in member.get("/account").text
    key_id = uuid.UUID(hex=key_in(made.text).split("_")[1])
    assert send(member, f"/account/keys/{key_id}/revoke").status_code == 404


def test_programs_manage_keys_over_the_api(ask, app, db, settings):
    made = ask("POST", "/keys", json={"name": "ci", "scope": "read", "days": 7})
    assert made.status_code == 201
    program = Asker(app.test_client(), made.json["key"])
    assert program("GET", "/account").json["scope"] == "read"
    assert program("GET", "/keys").status_code == 403
    (listed,) = ask("GET", "/keys").json["keys"]
    assert listed["id"] == made.json["id"]
    assert listed["last_used_at"]
    assert "key" not in listed
    assert ask("DELETE", f"/keys/{listed['id']}").status_code == 200
    assert program("GET", "/account").status_code == 401
    assert ask("DELETE", f"/keys/{listed['id']}").status_code == 404
    assert ask("POST", "/keys", json={"name": "a", "colour": "blue"}).status_code == 422


# --- password and sessions --------------------------------------------------------------------------------------------


def test_another_password_ends_every_other_session(browse):
    here, there = browse(), browse(new=False)
    before = cookie_of(here)
    answer = send(here, "/account/password", current=PASSWORD, new="another good password")
    assert answer.status_code == 303
    assert here.get("/jobs").status_code == 200
    assert cookie_of(here) != before
    assert there.get("/jobs").status_code == 303
    assert enter(there, "ada@example.org", PASSWORD).status_code == 401
    assert enter(there, "ada@example.org", "another good password").status_code == 303


def test_a_password_is_changed_by_who_knows_the_old_one_and_to_a_good_one(browse):
    browser = browse()
    for current, new in (("wrong", "another good password"), (PASSWORD, "short"), (PASSWORD, "")):
        refused = send(browser, "/account/password", current=current, new=new)
        assert refused.status_code == 422
        assert "notice bad" in refused.text
    assert browser.get("/jobs").status_code == 200


def test_sessions_are_seen_and_ended(browse, app):
    here, there = browse(), browse(new=False)
    page = here.get("/account", headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}).text
    ends = re.findall(r"/account/sessions/([0-9a-f-]{36})/end", page)
    assert ends == [str(uuid.UUID(hex=cookie_of(there)))]
    assert send(here, f"/account/sessions/{ends[0]}/end").status_code == 303
    assert there.get("/jobs").status_code == 303
    assert here.get("/jobs").status_code == 200


def test_signing_out_everywhere_is_everywhere(browse):
    here, there = browse(), browse(new=False)
    assert send(here, "/account/sessions/end").headers["Location"] == "/sign-in"
    assert here.get("/jobs").status_code == there.get("/jobs").status_code == 303


def test_a_copied_cookie_is_of_no_use_after_signing_out(browse, app):
    browser, copied = browse(), app.test_client()
    with copied.session_transaction() as kept:
        kept["id"] = cookie_of(browser)
    send(browser, "/sign-out")
    assert copied.get("/jobs").status_code == 303


# --- members ----------------------------------------------------------------------------------------------------------


def password_in(page: str) -> str:
    return re.search(r'<code class="secret">([a-z0-9-]{23})</code>', page).group(1)


def test_an_admin_adds_members_who_share_the_accounts_jobs(browse, app, account_id):
    admin = browse("a@example.org", Role.ADMIN)
    password = password_in(send(admin, "/account/members", email="New@example.org", role="member").text)
    newcomer = app.test_client()
    assert enter(newcomer, "new@example.org", password).status_code == 303
    job = newcomer.post("/api/v1/jobs", data=CSV, headers=OWN_PAGE)
    assert job.status_code == 202
    assert admin.get(f"/jobs/{job.json['id']}").status_code == 200
    assert "Members" not in newcomer.get("/account").text


def test_an_admin_resets_passwords_changes_roles_and_shuts_out(browse, app, make_user):
    user_id = make_user("m@example.org")
    admin, member = browse("a@example.org", Role.ADMIN), browse("m@example.org", new=False)
    password = password_in(send(admin, f"/account/members/{user_id}/password").text)
    assert member.get("/jobs").status_code == 303
    assert enter(member, "m@example.org", password).status_code == 303
    send(admin, f"/account/members/{user_id}/role", role="admin")
    assert "Members" in member.get("/account").text
    send(admin, f"/account/members/{user_id}/disable")
    assert member.get("/jobs").status_code == 303
    assert enter(member, "m@example.org", password).status_code == 401
    send(admin, f"/account/members/{user_id}/enable")
    assert enter(member, "m@example.org", password).status_code == 303


@pytest.mark.parametrize("fields", [{"email": "no address"}, {"role": "owner"}, {"email": "a@example.org"}])
def test_a_mistake_about_a_member_is_told_on_the_page(browse, fields):
    admin = browse("a@example.org", Role.ADMIN)
    refused = send(admin, "/account/members", **({"email": "b@example.org", "role": "member"} | fields))
    assert refused.status_code in (409, 422)
    assert "notice bad" in refused.text


def test_the_last_admin_stays(browse, db):
    admin = browse("a@example.org", Role.ADMIN)
    with db.transaction() as session:
        user_id = session.scalars(text("SELECT id FROM app_user")).one()
    for path, fields in (("disable", {}), ("role", {"role": "member"})):
        assert send(admin, f"/account/members/{user_id}/{path}", **fields).status_code == 409
    assert admin.get("/account").status_code == 200


def test_a_key_in_the_sign_in_form_opens_a_session_with_its_scope(app, make_account, db, settings):
    with db.transaction() as session:
        account_id = accounts.create_account(session, "Acme")
        key = accounts.issue_key(session, settings, account_id, "x", scope=Scope.READ)
    browser = app.test_client()
    send(browser, "/sign-in", token=key)
    assert browser.get("/jobs").status_code == 200
    assert send(browser, "/try", text="hello").status_code == 403
    assert send(browser, "/sign-out").status_code == 303
