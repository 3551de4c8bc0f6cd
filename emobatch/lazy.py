"""A group of commands that is imported when somebody asks for it: most who install the client never do."""

from __future__ import annotations

from importlib import import_module

import click

from emobatch.errors import NotInstalled


class LazyGroup(click.Group):
    """Stands for the group called `name` in `module`, which needs libraries of the extra `extra`."""

    def __init__(self, module: str, name: str, *, extra: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._module = module
        self._extra = extra

    @property
    def _group(self) -> click.Group:
        try:
            return getattr(import_module(self._module), str(self.name))
        except ModuleNotFoundError as error:
            raise NotInstalled(
                f"`emobatch {self.name}` needs what is not installed (no {error.name}).",
                next_step=f"Install it with: pip install 'emobatch[{self._extra}]'.",
            ) from error

    def list_commands(self, context: click.Context) -> list[str]:
        return self._group.list_commands(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return self._group.get_command(context, name)

    def format_help_text(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        self._group.format_help_text(context, formatter)
