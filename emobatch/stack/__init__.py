"""The local stack: Postgres, Redis, web and a worker in the user's own data directory, under one supervisor.

It is the production stack on a small scale, with the servers from Python wheels; nothing of it is a stand-in. `serve`
is ``emobatch up``; `start` gives a job the running stack or one of its own; `running` says where one listens. Linux and
macOS; not Windows, whose processes know neither signals nor these servers.

Importing this is cheap: what only a start needs is imported by the start.
"""

from emobatch.stack.home import Address
from emobatch.stack.lifecycle import RunningStack, running, serve, start

__all__ = ["Address", "RunningStack", "running", "serve", "start"]
