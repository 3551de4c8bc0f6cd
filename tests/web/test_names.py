"""File names and addresses that try to be something else: a path, a header, markup."""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

import pytest

from tests.web.conftest import CSV, TOKEN
from web.downloads import attachment
from web.intake import plain_name

PARTS = (
    *("../", "..\\", "/", "\\", "C:\\", "//host/share/", ".", "..", "~", "\0", "\r\n", "\n", "\t", '"', "'", ";", "%"),
    *("%2e%2e%2f", "%00", "\u202e", "\u200b", "\ufeff", "\u2044", "\uff0f", "\ud800", "\x7f", "\x1b[2J", "<b>", "&"),
    *(
        "name",
        "ünïcödé",
        "日本語",
        "😀",
        "a" * 300,
        ".csv",
        ".csv.gz",
        "CON",
        "NUL.txt",
        "filename*=UTF-8''x",
        "=",
        ",",
    ),
)

HEADER = re.compile(
    r'attachment; filename=(?:"((?:[^"\\]|\\.)*)"|([!#$%&\'*+.^_`|~0-9A-Za-z-]*))'
    r"(?:; filename\*=UTF-8''([\w%.~!*'()-]*))?"
)


def names(count: int):
    chance = random.Random(4)
    for _ in range(count):
        yield "".join(chance.choices(PARTS, k=chance.randint(0, 8)))


def test_ten_thousand_names_become_names_of_files_and_nothing_else():
    for given in names(10_000):
        name = plain_name(given)
        assert 0 < len(name) <= 255
        assert len(name.encode()) <= 255, "longer than file systems take"
        assert not set(name) & set('/\\\0\r\n"'), given
        assert name.strip(". ") == name.strip(), "hidden, a folder, or one that Windows cuts"
        assert all(unicodedata.category(character) not in ("Cc", "Cf", "Cs") for character in name), given
        assert name.split(".")[0].upper() not in ("CON", "PRN", "AUX", "NUL"), given
        header = attachment(name)
        header.encode("ascii")
        found = HEADER.fullmatch(header)
        assert found, header
        assert unquote(found.group(3)) == name if found.group(3) else (found.group(1) or found.group(2)) == name


def payloads() -> list[str]:
    """Five hundred ways to name a file that is elsewhere."""
    climbs = ("../", "..\\", "..//", "....//", "..;/", "%2e%2e/", "%2e%2e%2f", "..%2f", "..%5c", "%252e%252e%252f")
    climbs += ("..%c0%af", "..%ef%bc%8f", "..%00/", "./../", "/../", ".%2e/", "%2e./", "\\..\\", "..%255c", "/./../")
    targets = ("etc/passwd", "proc/self/environ", "web/auth.py", "secrets.json", "windows/win.ini")
    return [climb * depth + target for climb in climbs for depth in (1, 3, 6, 9, 12) for target in targets]


SECRETS = ("root:x:", "EMOBATCH_SECRET_KEY", "def require_principal", "[fonts]", "postgres_password")


def test_five_hundred_paths_lead_nowhere(client):
    assert len(payloads()) == len(set(payloads())) == 500
    client.get(f"/sign-in?token={TOKEN}")
    for number, payload in enumerate(payloads()):
        place = ("/static/", "/static/swagger/", "/jobs/", "/api/v1/jobs/", "/", "/bootstrap/static/")[number % 6]
        # As gunicorn gives it on: unquoted, byte for byte, whatever it looks like.
        answer = client.get("/", environ_overrides={"PATH_INFO": unquote_to_bytes(place + payload).decode("latin-1")})
        assert answer.status_code in (308, 400, 404), (place, payload, answer.status_code)
        body = answer.data.decode("utf-8", "replace")
        assert not any(secret in body for secret in SECRETS), (place, payload)
        if "Location" in answer.headers:
            assert answer.headers["Location"].startswith(("/", "http://localhost/")), payload


@pytest.mark.parametrize("name", payloads()[::50])
def test_a_path_for_a_name_is_stored_under_an_id(ask, installation, name):
    job_id = ask.upload(CSV, filename=name)
    stored = Path(installation.settings.storage_url.removeprefix("file://"))
    (file,) = [path for path in stored.rglob("*") if path.is_file()]
    assert re.fullmatch(r"uploads/[0-9a-f-]{36}", file.relative_to(stored).as_posix())
    assert not set(ask("GET", f"/jobs/{job_id}").json["filename"]) & set("/\\")
