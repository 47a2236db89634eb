"""Settings as flags of commands: each is an argument, a variable and a key of the file."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.config import Settings, settings

__all__ = ["BARS", "LOGIN", "STORE", "flags"]

#: Settings that commands share.
LOGIN: tuple[str, ...] = (
    "api_key",
    "ws_url",
    "rest_url",
    "reconnect",
    "heartbeat_seconds",
    "silence_seconds",
    "silence_check_seconds",
    "fill_gaps",
    "overlap_seconds",
    "patience_seconds",
)
BARS: tuple[str, ...] = (
    "lateness_seconds",
    "tape_rules",
    "max_price_deviation",
    "max_future_seconds",
    "window_bars",
    "dedup_trades",
)
STORE: tuple[str, ...] = (
    "data_dir",
    "store_trades",
    "store_quotes",
    "store_queue_rows",
    "durability",
)


def flags(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command a flag for each of these settings, collected in its argument `config`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        fields = [(name, Settings.model_fields[name]) for name in (*names, "log_level")]

        @wraps(command)
        def run(**given: Any) -> Any:
            values = {name: given.pop(name) for name, _ in fields}
            config = settings(**values)
            logging.basicConfig(
                level="WARNING", format="%(asctime)s %(levelname)s %(name)s: %(message)s"
            )
            logging.getLogger("workbench").setLevel(config.log_level)
            return command(config=config, **given)

        parameters = [
            p for p in inspect.signature(command, eval_str=True).parameters.values()
            if p.name != "config"
        ]  # fmt: skip
        for name, field in fields:
            plain = field.annotation if field.annotation in (int, float, bool, Path) else str
            option = typer.Option(
                help=f"{field.description} [dim](WORKBENCH_{name.upper()})[/dim]",
                rich_help_panel="Settings",
                show_default=False,
            )
            parameters.append(
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=None,
                    annotation=Annotated[plain | None, option],
                )
            )
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate
