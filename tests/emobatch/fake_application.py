"""Tiny programs in the places of web and worker, so that the stack itself can be tested, killed and restarted quickly.

``python -m tests.emobatch.fake_application HOME`` is ``emobatch up`` with them.
"""

from __future__ import annotations

import http.server
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path

from emobatch import stack
from emobatch.stack.programs import Application, Program

HERE = "tests.emobatch.fake_application"


class Web(http.server.BaseHTTPRequestHandler):
    """Answers with its environment."""

    def do_GET(self) -> None:
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def application(*, broken: str = "", patient: str = "", migrate: str = "-migrate") -> Application:
    """The fakes; the one named `broken` ends at once and says why, the one named `patient` waits for nothing."""

    def programs(settings: object, stack_id: str) -> list[Program]:
        return [
            Program(
                name,
                (sys.executable, "-m", HERE, "-broken" if name == broken else f"-{name}"),
                start_retries=1,
                is_patient=name == patient,
            )
            for name in ("web", "worker")
        ]

    return Application(migrate=(sys.executable, "-m", HERE, migrate), programs=programs, ready_path="/ready")


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def main(what: str) -> int:
    """One of the fakes, or the stack of them in the data directory `what`."""
    if what == "-migrate":
        Path("migrated").write_text(os.environ["DATABASE_URL"])
    elif what == "-migrate-while-web-answers":
        deadline = time.monotonic() + 20
        while not answers(int(os.environ["EMOBATCH_PORT"])):
            if time.monotonic() > deadline:
                sys.exit("web is not there")
            time.sleep(0.05)
    elif what == "-web":
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["EMOBATCH_PORT"])), Web)
        server.serve_forever()
    elif what == "-worker":
        threading.Event().wait()
    elif what == "-broken":
        sys.exit("the model is missing")
    else:
        return stack.serve(what, application=application())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
