"""Settings: argument, then environment, then `.env`, then `workbench.toml`, then default.

Every setting is an argument of :func:`settings`, a variable `WORKBENCH_<NAME>` and a key of
the TOML file. Secrets are wrapped, so that no repr or log shows them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from workbench.errors import ConfigError
from workbench.quality.rules import Rules

__all__ = ["Settings", "settings"]

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "workbench"


class Settings(BaseSettings):
    """All settings, checked and frozen.

    Examples
    --------
    >>> settings(port=9000).port
    9000
    >>> settings(api_key="s3cret")
    Settings(api_key=SecretStr('**********'), ...)
    """

    model_config = SettingsConfigDict(
        env_prefix="WORKBENCH_",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    api_key: SecretStr = Field(
        default=SecretStr(""),
        # Not "api_key": that would take API_KEY, the key of any other program, from the
        # environment and send it to the provider.
        validation_alias=AliasChoices("WORKBENCH_API_KEY", "MASSIVE_API_KEY", "POLYGON_API_KEY"),
        description="Key of the Massive (Polygon) account; MASSIVE_API_KEY and POLYGON_API_KEY"
        " are read too",
    )
    ws_url: str = Field(
        "wss://socket.massive.com", description="Websocket base of the provider, without market"
    )
    rest_url: str = Field("https://api.massive.com", description="REST base of the provider")
    data_dir: Path = Field(
        default_factory=_data_dir, description="Folder for the store, tapes and caches"
    )
    host: str = Field("127.0.0.1", description="Address the pages are served on")
    port: int = Field(8000, ge=0, le=65535, description="Port of pages, REST and websockets")
    sim_port: int = Field(8200, ge=0, le=65535, description="Port of the simulator")
    heartbeat_seconds: float = Field(
        30.0, gt=0, le=3600, description="Seconds between pings; a missing pong ends a connection"
    )
    silence_seconds: float = Field(
        30.0, gt=0, le=86_400, description="Seconds without any frame after which we reconnect"
    )
    silence_check_seconds: float = Field(
        5.0, gt=0, le=3600, description="Seconds between looks at the silence"
    )
    reconnect: Literal["patient", "crypto", "gentle", "fixed"] = Field(
        "patient", description="Reconnect policy: patient, crypto, gentle or fixed"
    )
    lateness_seconds: float = Field(
        1.0, ge=0, le=3600, description="Seconds after its end that a bar waits for late trades"
    )
    tape_rules: bool = Field(
        True,
        description="Whether trade conditions decide what a trade sets in a bar",
    )
    max_price_deviation: float = Field(
        0.05,
        ge=0,
        le=1e6,
        description="Share by which a trade may be off the level of its symbol; 0 allows all",
    )
    max_future_seconds: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="How far a time may be ahead of its receipt; 0 is a day",
    )
    rest_per_minute: int = Field(
        5, ge=0, le=100_000, description="Requests for history a minute and key; 0 is no limit"
    )
    fill_gaps: bool = Field(
        True, description="Whether what a connection lost is fetched from the provider's history"
    )
    overlap_seconds: float = Field(
        900.0,
        ge=0,
        le=86_400,
        description="Seconds before a hole that are fetched too, for trades told late",
    )
    patience_seconds: float = Field(
        900.0,
        gt=0,
        le=86_400,
        description="Seconds of trying after which a hole is declared missing",
    )
    window_bars: int = Field(
        2000, ge=10, le=1_000_000, description="Bars kept in memory for each watched series"
    )
    dedup_trades: int = Field(
        200_000, ge=1024, le=100_000_000, description="Trades remembered to tell repeats"
    )
    store_trades: bool = Field(True, description="Keep trades in the store")
    store_quotes: bool = Field(False, description="Keep quotes in the store (many rows)")
    store_queue_rows: int = Field(
        4_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Rows that may wait while the disk is slow or full (64 bytes each)",
    )
    durability: Literal["full", "normal"] = Field(
        "full", description="full survives power loss; normal only crashes, and is faster"
    )
    log_level: LogLevel = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: argument, environment, .env, TOML."""
        path = os.environ.get("WORKBENCH_CONFIG", "workbench.toml")
        toml = TomlConfigSettingsSource(settings_cls, Path(path))
        return init_settings, env_settings, dotenv_settings, toml

    def rules(self) -> Rules:
        """Return what a feed refuses."""
        return Rules.everywhere(
            max_price_deviation=self.max_price_deviation,
            max_future_seconds=self.max_future_seconds,
        )

    @property
    def store_path(self) -> Path:
        """The embedded store's file."""
        return self.data_dir / "market.db"


def settings(**arguments: Any) -> Settings:
    """Read the settings, letting arguments win.

    Parameters
    ----------
    **arguments
        Any field of :class:`Settings`; None means "not given".

    Returns
    -------
    Settings

    Raises
    ------
    ConfigError
        If a value is not allowed; it names the setting, never the value of a secret.

    Examples
    --------
    >>> settings(port=99999)
    Traceback (most recent call last):
        ...
    workbench.errors.ConfigError: setting port: Input should be less than or equal to 65535
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    unknown = sorted(set(given) - set(Settings.model_fields))
    if unknown:
        raise ConfigError(f"unknown setting {unknown[0]!r}; there is {', '.join(_names())}")
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).removeprefix("WORKBENCH_").lower()
        raise ConfigError(f"setting {name}: {first['msg']}") from None
    except ValueError as error:  # an unreadable TOML file
        raise ConfigError(f"settings file: {error}") from None


def _names() -> list[str]:
    return list(Settings.model_fields)
