"""Opening a store, and all the ways in which that cannot work."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from workbench.errors import StoreBusyError, StoreError, StoreSchemaError
from workbench.records import Batch, empty
from workbench.store.lock import WriterLock
from workbench.store.store import open_store
from workbench.symbols import SymbolTable


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_a_store_is_a_file_in_a_folder_that_is_made(tmp_path: Path, form: str) -> None:
    path = tmp_path / "deep" / "odd name? #1%.db"
    with open_store(form.format(path)) as store:
        assert len(store.symbols()) == 0
    assert path.is_file()
    with open_store(path, mode="ro") as store:
        assert store.info()["path"] == str(path)


def test_relative_files_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///market.db"):
        pass
    assert (tmp_path / "market.db").is_file()


@pytest.mark.parametrize("target", ["", ":memory:", "sqlite:///", "sqlite:///:memory:"])
def test_a_store_needs_a_file(target: str) -> None:
    with pytest.raises(StoreError, match="needs a file"):
        open_store(target)


def test_an_unknown_scheme_is_refused_without_its_secrets() -> None:
    with pytest.raises(StoreError, match="postgres") as caught:
        open_store("postgresql://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


def test_modes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode"):
        open_store(tmp_path / "m.db", mode="w")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="durability"):
        open_store(tmp_path / "m.db", durability="some")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_reading_never_makes_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        open_store(tmp_path / "m.db", mode="ro")
    assert not list(tmp_path.iterdir())
    (tmp_path / "m.db").touch()
    with pytest.raises(StoreError, match="holds no store yet"):
        open_store(tmp_path / "m.db", mode="ro")


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        open_store(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot make"):
        open_store(tmp_path / "file" / "market.db")


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_file_that_is_not_sqlite_is_left_alone(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(b"time,price\n" * 2_000)
    with pytest.raises(StoreError, match="damaged or not a store"):
        open_store(path, mode=mode)  # type: ignore[arg-type]
    assert path.read_bytes() == b"time,price\n" * 2_000


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_another_programs_database_is_left_alone(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "m.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_store(path, mode=mode)  # type: ignore[arg-type]
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "m.db"
    open_store(path).close()
    newer = sqlite3.connect(path)
    newer.execute("UPDATE schema_version SET v = 99")
    newer.commit()
    newer.close()
    before = path.read_bytes()
    with pytest.raises(StoreSchemaError, match="upgrade Workbench"):
        open_store(path, mode=mode)  # type: ignore[arg-type]
    assert path.read_bytes() == before


def test_damaged_pages_are_an_error_not_an_empty_answer(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    rows = empty("trade", 20_000)
    rows["time"] = range(len(rows))
    with open_store(path) as store:
        store.append(Batch("trade", rows), SymbolTable(["A"]))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 4))
    with open_store(path, mode="ro") as store, pytest.raises(StoreError, match="damaged"):
        store.trades("A")


def test_a_second_writer_is_told_who_holds_the_store(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with open_store(path), pytest.raises(StoreBusyError, match=f"pid {os.getpid()}"):
        open_store(path)
    with open_store(path):
        pass  # free again


def test_a_failed_opening_lets_go_of_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(b"x" * 10_000)
    for _ in range(2):
        with pytest.raises(StoreError, match="damaged"):
            open_store(path)
    path.unlink()
    open_store(path).close()


def test_the_lock_waits_for_one_that_is_just_let_go(tmp_path: Path) -> None:
    held = WriterLock(tmp_path / "m.lock")
    tries = 0

    def pause() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            held.release()

    WriterLock(tmp_path / "m.lock", pause=pause).release()
    assert tries == 2
    held.release()


def test_the_lock_gives_up(tmp_path: Path) -> None:
    held = WriterLock(tmp_path / "m.lock")
    pauses: list[None] = []
    with pytest.raises(StoreBusyError) as caught:
        WriterLock(tmp_path / "m.lock", attempts=4, pause=lambda: pauses.append(None))
    assert len(pauses) == 3
    assert caught.value.status == str(os.getpid())
    held.release()
    held.release()
