"""Pictures of every page in every state, for the docs: ``python -m tests.pages.screenshots [name ...]``.

Each shows the page by light on a wide window and by dark on a phone. They are made from a fresh stack with the shipped
model, and written to ``docs/pages``; without names all of them, with the page that shows them, and README's picture.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Error, Page, sync_playwright

from emobatch import stack
from tests.pages.conftest import CHROMIUM, FLAGS, Workers
from tests.pages.states import EXAMPLE, STATES, Stage, tidy

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "pages"
README_PICTURE = ROOT / "docs" / "images" / "three-clicks.png"

WIDE = {"width": 1180, "height": 800}
PHONE = {"width": 390, "height": 844}
TALLEST = 1300
"""Pixels of a page that are shown; below them tables go on."""
SCALE = 0.5
COLOURS = 192
EXACT = 64
"""Of these colours so many are the commonest ones, exactly."""
GAP = 16
GROUND = "#d9dce6"


def main(names: list[str]) -> None:
    """Makes the pictures of some states, or of all."""
    unknown = set(names) - set(STATES)
    if unknown:
        sys.exit(f"There is no state {', '.join(sorted(unknown))}; there are: {', '.join(STATES)}.")
    TARGET.mkdir(exist_ok=True)
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as home, stack.start(Path(home), quiet=True) as running, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name in names or STATES:
            with tempfile.TemporaryDirectory() as folder:
                page = _signed_in(browser, running)
                stage = Stage(page, running.url, Workers(Path(home)), Path(folder))
                try:
                    STATES[name](stage)
                    _save(_both(page), TARGET / f"{name}.png")
                    print(name, flush=True)
                except Error as error:
                    failed.append(name)
                    print(f"{name}: {error.message.splitlines()[0]}", flush=True)
                finally:
                    tidy(stage)
                    page.context.close()
        if not names:
            page = _signed_in(browser, running)
            _save(_three_clicks(page), README_PICTURE)
            _write_index()
        browser.close()
    if failed:
        sys.exit(f"No picture of: {', '.join(failed)}.")


def _signed_in(browser: Browser, running: stack.RunningStack) -> Page:
    page = browser.new_context(viewport=WIDE, reduced_motion="reduce").new_page()
    page.goto(f"{running.url}/sign-in?token={running.token}")
    return page


def _picture(page: Page) -> Image.Image:
    height = page.evaluate("document.documentElement.scrollHeight")
    width = page.viewport_size["width"] if page.viewport_size else 0
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, TALLEST)}
    taken = Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip)))  # type: ignore[arg-type]
    return taken.convert("RGB").resize(
        (round(taken.width * SCALE), round(taken.height * SCALE)), Image.Resampling.LANCZOS
    )


def _both(page: Page) -> Image.Image:
    """By light and wide, by dark and narrow, side by side."""
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    wide = _picture(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    narrow = _picture(page)
    return _beside([wide, narrow])


def _beside(pictures: list[Image.Image], gap: int = GAP) -> Image.Image:
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) + 1)
    made = Image.new("RGB", (width, max(picture.height for picture in pictures) + 2 * gap), GROUND)
    at = gap
    for picture in pictures:
        made.paste(picture, (at, gap))
        at += picture.width + gap
    return made


def _three_clicks(page: Page) -> Image.Image:
    """From an unknown CSV to a labelled one, a number at each click."""
    page.set_viewport_size({"width": 860, "height": 900})
    shots = [_click(page, 1, "label[for=file]")]
    page.set_input_files("#file", EXAMPLE)
    page.wait_for_selector("#said-19 .emotion", timeout=60_000)
    shots.append(_click(page, 2, "#go"))
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=30_000)
    while not page.title().startswith("Done"):
        page.wait_for_timeout(50)
    page.wait_for_selector("#rows tbody tr")
    shots.append(_click(page, 3, "text=Download CSV"))
    tallest = round(1190 * SCALE)
    return _beside([shot.crop((0, 0, shot.width, min(shot.height, tallest))) for shot in shots])


def _click(page: Page, number: int, selector: str) -> Image.Image:
    box = page.locator(selector).first.bounding_box() or {"x": 0, "y": 0, "width": 0, "height": 0}
    taken = _picture(page)
    draw = ImageDraw.Draw(taken)
    x, y = (box["x"] + min(box["width"], 640) + 34) * SCALE, (box["y"] + box["height"] / 2) * SCALE
    draw.ellipse((x - 15, y - 15, x + 15, y + 15), fill="#d8484b")
    draw.text((x, y), str(number), fill="white", anchor="mm", font=ImageFont.load_default(18))
    return taken


def _save(picture: Image.Image, path: Path) -> None:
    # The commonest colours as they are: grounds and bars. The rest by coverage: edges of letters, few pixels each.
    colours = sorted(picture.getcolors(picture.width * picture.height) or [], reverse=True)[:EXACT]
    covering = picture.quantize(COLOURS - EXACT, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette = Image.new("P", (1, 1))
    exact = [value for _, colour in colours for value in colour]  # type: ignore[union-attr]
    palette.putpalette(exact + (covering.getpalette() or [])[: 3 * (COLOURS - EXACT)])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def _write_index() -> None:
    lines = [
        "# Every page in every state",
        "",
        "Wide by light, on a phone by dark. Made by `make pages`, which starts a stack of its own. Each of these is",
        "also checked by axe-core, in both themes and on a phone (`tests/pages/test_accessible.py`).",
    ]
    for name, make in STATES.items():
        said = (make.__doc__ or "").strip()
        lines += [
            "",
            f"## {name.replace('-', ' ').capitalize()}",
            "",
            *([said, ""] if said else []),
            f"![{name}]({name}.png)",
        ]
    (TARGET / "README.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
