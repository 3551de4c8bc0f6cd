"""Whether a command can be what its document says, without running it: its program, target, options and names exist.

A program that is not known here fails, with what to do about it: teach `CHECKS` what it takes, or do not write it as a
command.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from itertools import pairwise

import click
import yaml

from core.settings import Settings, variable
from emobatch.cli import cli
from tests.documents.extract import ROOT

ASSIGNMENT = re.compile(r"^[A-Z_]+=")
HARMLESS = {"less", "head", "tail", "wc", "tr", "uuidgen", "cat", "cd", "git", "mkdir", "grep", "jq", "openssl", "sudo"}
"""Programs of any system."""

FOREIGN = {"MODEL", "TOKEN", "URL", "ID", "KEY", "EMOBATCH_DATA", "EMOBATCH_HOME", "EMOBATCH_SERVER", "EMOBATCH_TOKEN"}
"""Variables that are no settings of a server."""


class Wrong(AssertionError):
    """The command cannot work."""


def check(text: str) -> None:
    """Raises Wrong if a command, or one of a pipeline, cannot be what it says."""
    for part in split(text):
        words = [word for word in part if word != "\\"]
        while words and ASSIGNMENT.match(words[0]):
            _known_variable(words.pop(0).split("=")[0])
        if words and words[0] == "sudo":
            words.pop(0)
        if not words:
            continue
        program = words[0].removeprefix("./")
        if program in HARMLESS:
            continue
        if program not in CHECKS:
            raise Wrong(
                f"{program!r} is no program that this test knows. If it is right, say in CHECKS of"
                " tests/documents/checks.py how to check it; if it is no command, fence it with ```text."
            )
        CHECKS[program](words[1:])


def split(text: str) -> list[list[str]]:
    """The simple commands of a line, as words."""
    lexer = shlex.shlex(re.sub(r"\$\([^)]*\)", "x", text), posix=False, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    skip = False
    for word in lexer:
        if set(word) <= set("|&;"):
            found.append([])
        elif set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        else:
            found[-1] += shlex.split(word)  # quotes were kept until here: a quoted ; separates nothing
    return found


def _known_variable(name: str) -> None:
    plain = name.removesuffix("_FILE")
    if plain not in settings_variables() | FOREIGN | compose_variables() and not plain.startswith(
        ("OTEL_", "AWS_", "GF_")
    ):
        raise Wrong(f"{name} is no setting (docs/settings.md), and docker-compose.yml does not read it.")


@cache
def settings_variables() -> set[str]:
    return {variable(name, field) for name, field in Settings.model_fields.items()}


@cache
def compose_variables() -> set[str]:
    return set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))


# --- make -------------------------------------------------------------------------------------------------------


def _make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+)\s*\?=", makefile, re.MULTILINE))
    for word in words:
        if ASSIGNMENT.match(word):
            if word.split("=")[0] not in variables:
                raise Wrong(f"the Makefile has no variable {word.split('=')[0]}")
        elif word not in targets:
            raise Wrong(f"the Makefile has no target {word!r}: `make` lists them")


# --- emobatch ---------------------------------------------------------------------------------------------------


def _emobatch(words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        plain = [word for word in words if not word.startswith("-")]
        if not plain:
            break
        name = plain[0]
        found = command.get_command(context, name)
        if found is None:
            raise Wrong(f"emobatch has no command {name!r}")
        words = words[words.index(name) + 1 :]
        command = found
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    _options(words, known | {"-h", "--help", "--version"}, "emobatch")


def _options(words: list[str], known: set[str], program: str) -> None:
    for word in words:
        option = word.split("=")[0]
        if re.match(r"^--?[a-zA-Z]", option) and option not in known:
            raise Wrong(f"{program} has no option {option}")


# --- python and pip ---------------------------------------------------------------------------------------------

LIBRARIES = {"pip", "venv", "pytest", "gunicorn", "celery"}


def _python(words: list[str]) -> None:
    if words[:1] != ["-m"]:
        raise Wrong("python is called as `python -m module`")
    module = words[1]
    if module == "pip":
        return _pip(words[2:])
    if find_spec(module) is None:
        raise Wrong(f"there is no module {module}")
    if module.split(".")[0] not in LIBRARIES:
        _options(words[2:], _options_of(module), f"python -m {module}")
    return None


@cache
def _options_of(module: str) -> set[str]:
    """The options that a module's ``--help`` names."""
    ran = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        raise Wrong(f"python -m {module} --help failed: {ran.stderr[-500:]}")
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", ran.stdout))


def _pip(words: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words:
        if named := re.fullmatch(r"(?:emobatch|\.)\[([\w,]+)\]", word):
            for extra in named[1].split(","):
                if extra not in extras:
                    raise Wrong(f"pyproject.toml has no extra {extra!r}")
        if word.endswith(".txt") and not (ROOT / word).exists():
            raise Wrong(f"there is no {word}")


# --- docker, servers, tools -------------------------------------------------------------------------------------


def _docker(words: list[str]) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    profiles = {name for service in compose["services"].values() for name in service.get("profiles", [])}
    if words[0] == "build":
        targets = re.findall(r" AS (\S+)", (ROOT / "Dockerfile").read_text())
        if "--target" in words and words[words.index("--target") + 1] not in targets:
            raise Wrong("the Dockerfile has no such target")
        return
    if words[0] != "compose":
        raise Wrong(f"docker {words[0]} is not known here")
    for before, word in pairwise(words):
        if before == "--profile" and word not in profiles:
            raise Wrong(f"docker-compose.yml has no profile {word!r}")
        service = word.split("=")[0]
        names_one = before in ("--scale", "exec", "run", "restart", "stop") and not word.startswith("-")
        if names_one and service not in compose["services"]:
            raise Wrong(f"docker-compose.yml has no service {service!r}")


def _promtool(words: list[str]) -> None:
    for word in words:
        if word.endswith(".yml") and not (ROOT / word).exists():
            raise Wrong(f"there is no {word}")


def _export(words: list[str]) -> None:
    for word in words:
        _known_variable(word.split("=")[0])


def _anything(words: list[str]) -> None:
    """It is run (`tests.documents.test_commands`), or its options are nobody's but its own."""


CHECKS: dict[str, Callable[[list[str]], object]] = {
    "make": _make,
    "emobatch": _emobatch,
    "python": _python,
    "python3": _python,
    "pip": _pip,
    "pytest": _anything,
    "docker": _docker,
    "curl": _anything,
    "export": _export,
    "promtool": _promtool,
    "pg_dump": _anything,
    "pg_restore": _anything,
    "psql": _anything,
    "deploy/make-secrets": _anything,
    "apt-get": _anything,
    "unzip": _anything,
}
