"""The Python of docs/client.md is run, from the top to the bottom, on a real stack."""

from __future__ import annotations

import re

from emobatch.client import Client
from tests.documents.extract import ROOT

PAGE = ROOT / "docs" / "client.md"
CODE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_examples_work(local_stack, tmp_path, monkeypatch, capsys):
    text = (ROOT / "examples" / "reviews.csv").read_text()
    (tmp_path / "reviews.csv").write_text("".join(text.replace("text", "body", 1).splitlines(keepends=True)[:30]))
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text()
    blocks = list(CODE.finditer(page))
    assert len(blocks) >= 5
    names: dict[str, object] = {"URL": local_stack.url, "TOKEN": local_stack.token}
    try:
        for block in blocks:
            before = page[: block.start(1)].count("\n")
            exec(compile("\n" * before + block[1], str(PAGE), "exec"), names)
    finally:
        client = names.get("client")
        if isinstance(client, Client):
            client.close()
    assert capsys.readouterr().out
