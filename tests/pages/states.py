"""Every page in every state that it has, by name: what is checked for accessibility, and what is pictured in the docs.

A state is a function that brings a signed-in page there. Add one here for whatever a user may come to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.model_directory import ModelDirectory, shipped_model_path

EXAMPLE = Path(__file__).parents[2] / "examples" / "reviews.csv"

FAIL_A_ROW = """
UPDATE result_chunk SET status[3] = 2, top_label[3] = -1, detail = '{"2": {"reason": "crashed the model"}}'
WHERE job_id = %s AND chunk_no = 0
"""
COUNT_IT = """
UPDATE job SET rows_ok = rows_ok - 1, rows_failed = 1, state = 'completed_with_errors' WHERE id = %s
"""
FIXED = b"""row_number,id,date,product,rating,text
3,1003,2026-01-06,social post,2,First day without him. I still put down two bowls this morning. I miss him so much.
"""
"""What the owner of `examples/reviews.csv` makes of that row."""


def large() -> bytes:
    """A file that is sent in more than one piece and has few rows: what is long is not what is labelled."""
    filler = b"x" * 100_000
    rows = b"".join(b"%d,I am so happy about number %d,%s\n" % (n, n, filler) for n in range(180))
    return b"id,text,filler\n" + rows


@dataclass
class Stage:
    """What a state is made with: a signed-in page, and the stack behind it."""

    page: Any
    url: str
    workers: Any
    folder: Path
    """For files of one's own."""

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def see(self, selector: str, **options: Any) -> None:
        self.page.wait_for_selector(selector, timeout=60_000, **options)

    def wait_for_title(self, first_word: str) -> None:
        while not self.page.title().startswith(first_word):
            self.page.wait_for_timeout(50)

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def choose(self, file: Path) -> None:
        self.go("/")
        self.page.set_input_files("#file", file)

    def send(self, file: Path) -> str:
        """Makes a job and goes to its page; its id."""
        self.choose(file)
        self.page.click("#go")
        self.page.wait_for_url("**/jobs/*", timeout=30_000)
        return self.page.url.rpartition("/")[2]

    def send_and_wait(self, file: Path = EXAMPLE) -> str:
        job_id = self.send(file)
        self.wait_for_title("Done")
        self.see("#bars .bars")
        return job_id

    def many(self, name: str = "many.csv") -> Path:
        """A file of some seconds' work, each text a new one."""
        lines = [f"{name} {n} is a number that nobody expected\n" for n in range(12_000)]
        return self.file(name, ("text\n" + "".join(lines)).encode())


State = Callable[[Stage], None]
STATES: dict[str, State] = {}


def state(make: State) -> State:
    """Adds a state under the function's name."""
    STATES[make.__name__.replace("_", "-")] = make
    return make


# --- before the run -------------------------------------------------------------------------------------------------


@state
def upload(stage: Stage) -> None:
    """Nothing chosen yet."""
    stage.go("/")
    stage.see("#file")


@state
def upload_options(stage: Stage) -> None:
    """What can be said about a file, if it is to be read otherwise than detected."""
    stage.go("/")
    stage.page.click("summary:has-text('Options')")


@state
def paste(stage: Stage) -> None:
    """Text instead of a file: each line is a text, unless it is a table."""
    stage.go("/")
    stage.page.click("text=Paste text instead")
    stage.page.fill("#pasted", "I love it, really\nThis is so sad, I could cry\nWhat?!\n")


@state
def several_files(stage: Stage) -> None:
    """Several files: each is looked at, corrected and sent on its own."""
    numbers = stage.file("numbers.csv", b"a,b\n1,2\n3,4\n")
    stage.go("/")
    stage.page.set_input_files("#file", [EXAMPLE, numbers])
    stage.see("#said-19 .emotion")
    stage.see(".file-note:has-text('No column of words')")


@state
def sending(stage: Stage) -> None:
    """A large file on its way; it can be stopped, and goes on where it was."""
    stage.page.route(
        "**/api/v1/uploads/*", lambda route: None if route.request.method == "PATCH" else route.continue_()
    )
    stage.choose(stage.file("large.csv", large()))
    stage.see("#said-0 .emotion")
    stage.page.click("#go")
    stage.see("#stop:visible")


@state
def sending_broken(stage: Stage) -> None:
    """The connection broke: what is there stays."""
    stage.page.route("**/api/v1/uploads/*", lambda route: route.abort("connectionreset"))
    stage.choose(stage.file("large.csv", large()))
    stage.see("#said-0 .emotion")
    stage.page.click("#go")
    stage.see("text=The connection broke at")


@state
def preview(stage: Stage) -> None:
    """A file before it is sent: what was detected, its first rows with labels, how long it will take."""
    stage.choose(EXAMPLE)
    stage.see("#said-19 .emotion")
    stage.see("#preview-time:has-text('of work')")


@state
def preview_warning(stage: Stage) -> None:
    """What is odd about a file is said, by file line and data row."""
    lines = [f"{n};Anna Schmidt;Schöne Grüße, ich bin so froh über Nummer {n}\n" for n in range(30)]
    stage.choose(stage.file("kommentare.csv", "".join(["nr;name;kommentar\n", *lines]).encode("cp1252")))
    stage.see("#said-19 .emotion")


@state
def preview_problem(stage: Stage) -> None:
    """What would stop a job is said before it is one."""
    stage.choose(stage.file("numbers.csv", b"a,b\n1,2\n3,4\n"))
    stage.see("#preview [role=alert]")


@state
def preview_no_worker(stage: Stage) -> None:
    """Rows are shown while no worker is alive; the labels come as soon as one is."""
    stage.workers.lose()
    stage.choose(EXAMPLE)
    stage.see("#preview-time:has-text('No worker is alive')")


@state
def refused(stage: Stage) -> None:
    """A file that is refused, and what to do."""
    stage.choose(stage.file("numbers.csv", b"a,b\n1,2\n3,4\n"))
    stage.page.click("#go")
    stage.see("#problem [role=alert]")


# --- jobs -----------------------------------------------------------------------------------------------------------


@state
def jobs(stage: Stage) -> None:
    """All jobs, newest first."""
    stage.send_and_wait()
    stage.go("/jobs")
    stage.see(".jobs tbody tr")


@state
def jobs_empty(stage: Stage) -> None:
    """No job yet."""
    stage.workers.sql("UPDATE job SET deleted_at = now()")
    stage.go("/jobs")
    stage.see("text=Nothing here yet")


@state
def job_queued(stage: Stage) -> None:
    """What a job waits for, and what is before it."""
    stage.workers.hold()
    stage.workers.sql("UPDATE worker SET heartbeat = now() + interval '1 hour'")
    stage.send(stage.many("first.csv"))
    stage.send(stage.many("waits.csv"))
    stage.see("#live:has-text('Waiting for its turn behind')")


@state
def job_no_worker(stage: Stage) -> None:
    """Nothing moves, and this is why."""
    stage.workers.lose()
    stage.send(stage.many("waits.csv"))
    stage.see("#live:has-text('none is alive')")


@state
def job_running(stage: Stage) -> None:
    """Rows, speed, time left as a range; labels and rows as they come; the rows so far to download."""
    stage.workers.release()
    job_id = stage.send(stage.many("running.csv"))
    status = f"{stage.url}/api/v1/jobs/{job_id}"
    while not stage.page.request.get(status).json()["rows_done"]:
        stage.page.wait_for_timeout(10)
    stage.workers.hold()
    stage.see("#bars .bars")
    stage.see("#rows tbody tr")


@state
def job_done(stage: Stage) -> None:
    """A finished job."""
    stage.send_and_wait()
    stage.see("#rows tbody tr")


@state
def job_all_28(stage: Stage) -> None:
    """The same numbers in the model's 28 labels, without running it again."""
    stage.send_and_wait()
    stage.page.click("text=All 28")
    stage.see("#bars:has-text('gratitude')")


@state
def job_rows_none(stage: Stage) -> None:
    """A filter that nothing passes."""
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}?status=failed")
    stage.see("#rows:has-text('No row like that')")


@state
def job_some_failed(stage: Stage) -> None:
    """Some rows failed, the others have their labels."""
    job_id = stage.send_and_wait()
    stage.workers.sql(FAIL_A_ROW, job_id)
    stage.workers.sql(COUNT_IT, job_id)
    stage.page.reload()
    stage.see(".badge-state:has-text('some rows failed')")


@state
def fixed_refused(stage: Stage) -> None:
    """Fixed rows that are not those that failed: which one, and what to do."""
    job_some_failed(stage)
    stage.page.set_input_files("#fixed", stage.file("fixed.csv", FIXED.replace(b"\n3,", b"\n4,")))
    stage.page.get_by_role("button", name="Send back").click()
    stage.see("h1:has-text('These rows were not taken')")


@state
def fixed_rows(stage: Stage) -> None:
    """The job of fixed rows, done: they stand in their places."""
    job_some_failed(stage)
    stage.page.set_input_files("#fixed", stage.file("fixed.csv", FIXED))
    stage.page.get_by_role("button", name="Send back").click()
    stage.see(".notice:has-text('They stand in the places of the failed ones there now')")
    stage.see("#rows tbody tr")


@state
def fixed_all(stage: Stage) -> None:
    """The file, with no row left that failed."""
    fixed_rows(stage)
    stage.page.get_by_role("link", name="Go to that file").click()
    stage.see("#failed:has-text('Every row that had failed was fixed')")


@state
def job_failed(stage: Stage) -> None:
    """A file that could not be read to its end: where, and what to do."""
    rows = b"".join(b"%d,good day number %d\n" % (n, n) for n in range(20_000))  # more than is looked at beforehand
    stage.send(stage.file("open quote.csv", b"id,text\n" + rows + b'20000,"never closed\n20001,and more\n'))
    stage.wait_for_title("Failed")
    stage.see("#live [role=alert]")


@state
def job_cancelled(stage: Stage) -> None:
    """Stopped; what was labelled can be had."""
    stage.workers.hold()
    stage.send(stage.many("unwanted.csv"))
    stage.page.get_by_role("button", name="Cancel").click()
    stage.see("#live .badge-state:has-text('Cancelled')")


@state
def job_expired(stage: Stage) -> None:
    """After its time: the data is gone, the record remains."""
    job_id = stage.send_and_wait()
    stage.workers.sql("UPDATE job SET expires_at = now() - interval '1 s' WHERE id = %s", job_id)
    while stage.page.request.get(f"{stage.url}/api/v1/jobs/{job_id}").json()["state"] != "expired":
        stage.page.wait_for_timeout(100)
    stage.page.reload()
    stage.see(".badge-state:has-text('Expired')")


@state
def job_delete(stage: Stage) -> None:
    """Deleting asks first."""
    stage.send_and_wait()
    stage.page.get_by_text("Delete …").click()
    stage.see("text=removed for good")


@state
def check_offer(stage: Stage) -> None:
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}/check")
    stage.see("text=Start labelling")


@state
def check_card(stage: Stage) -> None:
    check_offer(stage)
    stage.page.click("text=Start labelling")
    stage.see("#ask-text")
    stage.page.keyboard.press("4")
    stage.see(".ask-last:has-text('you said joy')")


@state
def check_card_28(stage: Stage) -> None:
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}/check?taxonomy=goemotions")
    stage.page.click("text=Start labelling")
    stage.see("#find:visible")


@state
def check_figures(stage: Stage) -> None:
    """Every third row is neutral to whoever answers, else emobatch is right."""
    job_id = stage.send_and_wait()
    job = f"{stage.url}/api/v1/jobs/{job_id}"
    ask = stage.page.request
    same_page = {"Sec-Fetch-Site": "same-origin"}
    ask.post(f"{job}/review", data={"size": 50, "seed": 1}, headers=same_page)
    said = {row["row"]: row["emotion"] for row in ask.get(f"{job}/rows?limit=500").json()["rows"]}
    for at, row in enumerate(ask.get(f"{job}/review/rows?limit=50").json()["rows"]):
        label = "neutral" if at % 3 == 0 else said[row["row"]]
        ask.put(f"{job}/review/rows/{row['row']}", data={"labels": [label]}, headers=same_page)
    stage.go(f"/jobs/{job_id}/check")
    stage.see("#figures")


@state
def server_away(stage: Stage) -> None:
    """The server does not answer; the page goes on trying."""
    stage.workers.hold()
    stage.send(stage.many("away.csv"))
    stage.page.route("**/live", lambda route: route.abort())
    stage.see("#offline:visible")


# --- a job in figures -----------------------------------------------------------------------------------------------


@state
def summary(stage: Stage) -> None:
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}/summary")
    stage.see("#figures .chart")


@state
def summary_by_month(stage: Stage) -> None:
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}/summary?taxonomy=goemotions&threshold=0.3&by=date&label=fear")
    stage.see("#by-label .chart")


@state
def summary_too_early(stage: Stage) -> None:
    stage.workers.hold()
    job_id = stage.send(stage.many("waits.csv"))
    stage.go(f"/jobs/{job_id}/summary")
    stage.see("text=not finished")


@state
def taxonomies_none(stage: Stage) -> None:
    stage.workers.sql("DELETE FROM taxonomy")
    stage.go("/taxonomies")
    stage.see("text=None yet")


@state
def taxonomies(stage: Stage) -> None:
    stage.workers.sql("DELETE FROM taxonomy")
    stage.go("/taxonomies/new?from=sentiment")
    stage.page.fill("#name", "feelings about us")
    stage.page.get_by_role("button", name="Save").click()
    stage.see(".taxonomy")


@state
def taxonomy_refused(stage: Stage) -> None:
    stage.go("/taxonomies/new?from=ekman")
    stage.page.fill("#name", "a/b")
    stage.page.get_by_role("button", name="Save").click()
    stage.see("[role=alert]")


# --- rows -----------------------------------------------------------------------------------------------------------


@state
def rows_filtered(stage: Stage) -> None:
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}?listed=joy&sort=score&columns=2%2C3&min_score=0.2")
    stage.see("#rows-found .own")


@state
def rows_search_stopped(stage: Stage) -> None:
    job_id = stage.send(stage.many("search.csv"))
    stage.wait_for_title("Done")
    stage.go(f"/jobs/{job_id}?search=that+nobody+wrote&paused=yes")
    stage.see("#rows-go-on")


@state
def rows_search_none(stage: Stage) -> None:
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}?search=xylophone")
    stage.see("#rows-found .nothing")


@state
def row(stage: Stage) -> None:
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}/rows/4")
    stage.see("#ask-words")


@state
def row_words(stage: Stage) -> None:
    row(stage)
    stage.page.click("#ask-words")
    stage.see("#words .marked")


@state
def row_no_worker(stage: Stage) -> None:
    row(stage)
    stage.workers.lose()
    stage.page.click("#ask-words")
    stage.see("#words [role=alert]")


# --- the rest -------------------------------------------------------------------------------------------------------


def label_again(stage: Stage) -> tuple[str, str]:
    """The example labelled twice; the ids of both jobs."""
    job_id = stage.send_and_wait()
    again = stage.page.request.post(
        f"{stage.url}/api/v1/jobs/{job_id}/again", headers={"Origin": stage.url, "Sec-Fetch-Site": "same-origin"}
    ).json()["id"]
    stage.go(f"/jobs/{again}")
    stage.wait_for_title("Done")
    return job_id, again


@state
def compare(stage: Stage) -> None:
    """What another version of the model says of the same file: here one that is readier to call a text neutral."""
    job_id, again = label_again(stage)
    labels = ModelDirectory.load(shipped_model_path()).taxonomies["goemotions"].labels
    for chunk_no, stored in stage.workers.sql("SELECT chunk_no, logits FROM result_chunk WHERE job_id = %s", again):
        logits = np.frombuffer(stored, "<f2").reshape(-1, len(labels)).copy()
        logits[:, labels.index("neutral")] += 1.5
        changed = "UPDATE result_chunk SET logits = %s WHERE job_id = %s AND chunk_no = %s"
        stage.workers.sql(changed, logits.tobytes(), again, chunk_no)
    stage.workers.sql("UPDATE job SET model_version = '1.1.0' WHERE id = %s", again)
    stage.go(f"/jobs/{again}/compare/{job_id}")
    stage.see("h2:has-text('Changed rows')")


@state
def compare_same(stage: Stage) -> None:
    """The same model on the same file says the same."""
    job_id, again = label_again(stage)
    stage.go(f"/jobs/{job_id}/compare/{again}")
    stage.see("h2:has-text('of the labels are the same')")


@state
def try_it(stage: Stage) -> None:
    """One text, labelled as it is typed."""
    stage.go("/try")
    stage.see("#said")


@state
def try_said(stage: Stage) -> None:
    """What is said of it: scores, and each label's threshold as a tick."""
    stage.go("/try")
    stage.page.fill("#text", "I love this so much, thank you!")
    stage.see(".said-top:has-text('joy')")


@state
def try_no_worker(stage: Stage) -> None:
    """Nobody can answer just now."""
    stage.workers.lose()
    stage.go("/try")
    stage.page.fill("#text", "I love this so much, thank you!")
    stage.see("#said:has-text('No worker is alive')")


@state
def account_key(stage: Stage) -> None:
    """What the account has used, and a new key: shown this once."""
    stage.workers.sql("DELETE FROM session WHERE created_at < (SELECT max(created_at) FROM session)")  # other pictures'
    stage.go("/account")
    stage.page.fill("#name", "nightly import")
    stage.page.get_by_role("button", name="Make a key").click()
    stage.see("text=Copy it now")
    # No picture has a key in it.
    stage.page.locator(".secret").evaluate("key => { key.textContent = key.textContent.slice(0, 37) + 'x'.repeat(43) }")


@state
def account_members(stage: Stage) -> None:
    """Who else signs in to the account, and a new member's password: shown this once."""
    for email, role in [("ada@example.org", "admin"), ("grace@example.org", "member")]:
        stage.go("/account")
        stage.page.fill("#member-email", email)
        stage.page.locator("#members [name=role]").last.select_option(role)
        stage.page.locator("#members").get_by_role("button", name="Add").click()
        stage.see(f"text={email} signs in with this password")
    stage.page.locator(".secret").evaluate("password => { password.textContent = 'x'.repeat(20) }")


@state
def api(stage: Stage) -> None:
    """The API, described without a script."""
    stage.go("/docs")
    for summary in stage.page.locator(".operation > summary").all():
        summary.click()
    stage.see("text=openapi.json")


@state
def not_found(stage: Stage) -> None:
    """An address that leads nowhere."""
    stage.go("/jobs/00000000-0000-0000-0000-000000000000")
    stage.see("[role=alert]")


@state
def sign_in(stage: Stage) -> None:
    """Before anything else."""
    stage.page.context.clear_cookies()
    stage.go("/sign-in")
    stage.see("#token")


@state
def sign_in_members(stage: Stage) -> None:
    """Where the account has members: by e-mail address, or with a token."""
    account_members(stage)
    stage.page.context.clear_cookies()
    stage.go("/sign-in")
    stage.see("#email")


@state
def sign_in_refused(stage: Stage) -> None:
    """A token that is not valid."""
    stage.page.context.clear_cookies()
    stage.go("/sign-in")
    stage.page.fill("#token", "wrong")
    stage.page.get_by_role("button", name="Sign in").click()
    stage.see("[role=alert]")


def tidy(stage: Stage) -> None:
    """Ends what a state left running, and its members go, so that the next one finds an idle stack of one."""
    stage.workers.sql("DELETE FROM app_user WHERE email LIKE '%@example.org'")
    stage.workers.sql(
        "UPDATE job SET state = 'cancelled', finished_at = now() WHERE state IN ('queued', 'ingesting', 'running')"
    )
    stage.workers.release()
