"""Settings: where they come from, in which order, and what they never tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from workbench.config import Settings, settings
from workbench.errors import ConfigError

FIELDS = list(Settings.model_fields)


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, without the variables of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("WORKBENCH_", "MASSIVE_", "POLYGON_")) or name == "API_KEY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_argument_over_environment_over_dotenv_over_toml_over_default(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings().port == 8000
    (bare / "workbench.toml").write_text("port = 1001\n")
    assert settings().port == 1001
    (bare / ".env").write_text("WORKBENCH_PORT=1002\n")
    assert settings().port == 1002
    monkeypatch.setenv("WORKBENCH_PORT", "1003")
    assert settings().port == 1003
    assert settings(port=1004).port == 1004
    assert settings(port=None).port == 1003


def test_another_file_by_name(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "other.toml").write_text('api_key = "k"\nlog_level = "DEBUG"\n')
    monkeypatch.setenv("WORKBENCH_CONFIG", str(bare / "other.toml"))
    assert settings().log_level == "DEBUG"
    assert settings().api_key.get_secret_value() == "k"


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_variable_and_a_description(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = getattr(settings(), name)
    other = {
        "api_key": "k", "durability": "normal", "reconnect": "fixed", "log_level": "ERROR",
        "store_trades": "false", "tape_rules": "false", "store_quotes": "true",
        "fill_gaps": "false", "data_dir": "elsewhere",
    }.get(name, "7777" if not isinstance(default, str) else "ws://127.0.0.1:1")  # fmt: skip
    if name in ("heartbeat_seconds", "silence_check_seconds", "lateness_seconds"):
        other = "77"
    monkeypatch.setenv(f"WORKBENCH_{name.upper()}", other)
    assert getattr(settings(), name) != default
    assert Settings.model_fields[name].description


@pytest.mark.parametrize("name", ["WORKBENCH_API_KEY", "MASSIVE_API_KEY", "POLYGON_API_KEY"])
def test_the_key_is_read_from_the_providers_variables_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "k")
    assert settings().api_key.get_secret_value() == "k"
    assert settings(api_key="mine").api_key.get_secret_value() == "mine"


def test_the_key_of_another_program_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "of something else")
    assert settings().api_key.get_secret_value() == ""


def test_no_key_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for chosen in (settings(api_key="s3cret"), settings(api_key=SecretStr("s3cret"))):
        assert chosen.api_key.get_secret_value() == "s3cret"
        assert "s3cret" not in repr(chosen) + str(chosen) + str(chosen.model_dump())
        assert "s3cret" not in chosen.model_dump_json()
    monkeypatch.setenv("WORKBENCH_API_KEY", "s3cret")
    with pytest.raises(ConfigError) as caught:
        settings(port=-1)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 65_536), ("port", "eight"), ("heartbeat_seconds", 0), ("window_bars", 9),
        ("lateness_seconds", -1), ("reconnect", "never"), ("log_level", "LOUD"),
        ("dedup_trades", 1), ("silence_seconds", float("nan")),
    ],
)  # fmt: skip
def test_values_that_are_not_allowed(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"setting {name}: "):
        settings(**{name: value})


def test_names_and_files_that_are_not_right(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'colour'.*port"):
        settings(colour="red")
    monkeypatch.setenv("WORKBENCH_PORT", "x")
    with pytest.raises(ConfigError, match="setting port"):
        settings()
    (bare / "workbench.toml").write_text("port = = 1\n")
    with pytest.raises(ConfigError, match="settings file"):
        settings(port=1)


def test_settings_do_not_change(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(data_dir=bare)
    with pytest.raises(ValidationError):
        chosen.port = 1
    assert chosen.store_path == bare / "market.db"
    monkeypatch.setenv("XDG_DATA_HOME", str(bare / "share"))
    assert settings().data_dir == bare / "share" / "workbench"
