"""Every page in every state, by light and by dark, wide and as narrow as a phone: axe-core finds nothing to say, and
on a phone everything is read without going sideways."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.states import STATES, Stage, tidy

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python")

AXE = (Path(axe.__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

SIDEWAYS = """() => {
    for (const folded of document.querySelectorAll("main details")) folded.open = true;
    const root = document.scrollingElement;
    const found = root.scrollWidth > innerWidth ? [`the page: ${root.scrollWidth}`] : [];
    for (const box of document.querySelectorAll("main *")) {
        if (box.scrollWidth <= box.clientWidth) continue;
        if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) found.push(`${box.tagName} ${box.className}`);
    }
    return found;
}"""
"""What is wider than a phone: the page, or a box within it that can be scrolled sideways."""

TOO_SMALL = """() => [...document.querySelectorAll("svg text")].flatMap(text => {
    const scale = text.getBoundingClientRect().width ? text.getScreenCTM().a : 1;
    const size = scale * parseFloat(getComputedStyle(text).fontSize);
    return size < 10 ? [`${text.textContent}: ${size.toFixed(1)} px`] : [];
})"""
"""Words in a drawing that nobody can read, for it was made smaller."""


@pytest.fixture
def stage(page, local_stack, workers, tmp_path):
    made = Stage(page, local_stack.url, workers, tmp_path)
    yield made
    tidy(made)


def complaints(page) -> list[str]:
    """What axe-core has against the page as it is, an element and a reason each."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE)
    found = page.evaluate(
        "rules => axe.run({runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
    )
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_accessible_in_both_themes_and_on_a_phone(stage, name):
    page = stage.page
    STATES[name](stage)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert complaints(page) == [], scheme
    page.set_viewport_size({"width": 390, "height": 844})
    assert complaints(page) == [], "narrow"
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(TOO_SMALL) == []
