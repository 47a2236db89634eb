"""One limit for all: the window, its file, its clock."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from workbench.clock import ManualClock
from workbench.errors import StoreError
from workbench.net.limits import NoLimit, SharedLimit, key_name

START = 1_700_000_000 * 10**9


def limited(path: Path, clock: ManualClock, count: int = 2, **more: object) -> SharedLimit:
    return SharedLimit(path, "me", count, wait=clock.advance, clock=clock, **more)  # type: ignore[arg-type]


def test_requests_beyond_the_limit_wait_for_the_window(tmp_path: Path) -> None:
    clock, waits = ManualClock(START), []
    limit = limited(tmp_path / "limits.db", clock, 5, on_wait=waits.append)
    times = []
    for _ in range(12):
        limit.done(limit.taken())
        times.append((clock.now() - START) / 1e9)
    assert times[:5] == [0.0] * 5
    assert all(60 <= t < 60.2 for t in times[5:10])
    assert all(120 <= t < 120.4 for t in times[10:])
    assert len(waits) == 2


def test_no_window_ever_holds_more_than_the_limit(tmp_path: Path) -> None:
    clock = ManualClock(START)
    limit = limited(tmp_path / "limits.db", clock, 3, window=10.0)
    arrived = []
    for step in range(30):
        number = limit.taken()
        clock.advance((step % 4) * 0.7)  # on its way
        arrived.append(clock.now())
        clock.advance((step % 3) * 0.9)  # and back
        limit.done(number)
    for i in range(len(arrived) - 3):
        assert arrived[i + 3] - arrived[i] >= 10 * 10**9


def test_a_request_that_is_long_on_its_way_keeps_its_place_in_a_short_window(
    tmp_path: Path,
) -> None:
    clock = ManualClock(START)
    slow = limited(tmp_path / "limits.db", clock, 3, window=0.5)
    number = slow.taken()
    clock.advance(30)  # its process is stopped, and sends it only now
    limit = limited(tmp_path / "limits.db", clock, 3, window=0.5)
    arrived = [clock.now()]
    for _ in range(6):
        limit.done(limit.taken())
        arrived.append(clock.now())
    slow.hold(number)
    clock.advance(39)  # nor is it sent at once
    for _ in range(3):
        limit.done(limit.taken())
        arrived.append(clock.now())
    slow.done(number)
    arrived.append(clock.now())
    arrived.sort()
    assert all(arrived[i + 3] - arrived[i] >= 0.5e9 for i in range(len(arrived) - 3))
    clock.advance(0.6)
    before = clock.now()
    for _ in range(3):
        limit.taken()
    assert clock.now() == before, "what was answered a window ago holds no place"


def test_two_users_of_a_file_share_its_window_and_other_keys_do_not(tmp_path: Path) -> None:
    clock, path = ManualClock(START), tmp_path / "limits.db"
    one, two = limited(path, clock), limited(path, clock)
    other = SharedLimit(path, "other", 2, wait=clock.advance, clock=clock)
    one.taken()
    two.taken()
    other.taken()
    assert clock.now() == START
    two.taken()
    assert clock.now() >= START + 60 * 10**9


def test_processes_share_the_window(tmp_path: Path) -> None:
    path = tmp_path / "limits.db"
    code = f"""
from pathlib import Path
from workbench.clock import SystemClock
from workbench.net.limits import SharedLimit

class Noted(SystemClock):
    def now(self):
        self.told = super().now()
        return self.told

clock = Noted()
limit = SharedLimit(Path({str(path)!r}), "me", 4, window=0.5, clock=clock)
for _ in range(6):
    number = limit.taken()
    print(clock.told)  # when the place was taken: this process may have been stopped since
    limit.done(number)
"""
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [one.communicate(timeout=500)[0] for one in running]
    times = sorted(int(line) for lines in told for line in lines.split())
    assert len(times) == 12
    assert all(times[i + 4] - times[i] >= 0.5e9 for i in range(len(times) - 4))


def test_who_holds_the_file_for_long_is_waited_for(tmp_path: Path) -> None:
    """A process may be stopped for half a minute, within a change of the file too."""
    limit = SharedLimit(tmp_path / "limits.db", "me", 2)
    with limit._opened() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] >= 60_000


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    start = Barrier(8)

    def opened(path: Path) -> int:
        start.wait(500)
        return SharedLimit(path, "me", 8).taken()

    with ThreadPoolExecutor(8) as pool:
        for turn in range(40):
            path = tmp_path / f"limits-{turn}.db"
            assert len(set(pool.map(opened, [path] * 8))) == 8


def test_a_process_that_died_in_mid_request_costs_one_place_for_one_window(tmp_path: Path) -> None:
    clock = ManualClock(START)
    limited(tmp_path / "limits.db", clock).taken()  # never done
    limit = limited(tmp_path / "limits.db", clock)
    limit.taken()
    limit.taken()
    assert 60 <= (clock.now() - START) / 1e9 < 61


def test_what_is_never_answered_does_not_hold_up_others_in_a_short_window(tmp_path: Path) -> None:
    clock = ManualClock(START)
    limited(tmp_path / "limits.db", clock, window=0.5).taken()  # its process dies
    limit = limited(tmp_path / "limits.db", clock, window=0.5)
    for _ in range(4):
        limit.done(limit.taken())
    assert (clock.now() - START) / 1e9 < 2, "there is another place"
    clock.advance(40)
    before = clock.now()
    limit.done(limit.taken())
    limit.done(limit.taken())
    assert clock.now() == before


def test_a_clock_set_back_does_not_stop_requests_for_long(tmp_path: Path) -> None:
    path = tmp_path / "limits.db"
    ahead = limited(path, ManualClock(START + 86_400 * 10**9))
    ahead.taken()
    ahead.taken()
    clock = ManualClock(START)
    limited(path, clock).taken()
    assert clock.now() - START <= 61 * 10**9


def test_a_wait_can_be_ended(tmp_path: Path) -> None:
    def refuse(seconds: float) -> None:
        raise KeyboardInterrupt

    clock = ManualClock(START)
    limit = SharedLimit(tmp_path / "limits.db", "me", 1, wait=refuse, clock=clock)
    limit.taken()
    with pytest.raises(KeyboardInterrupt):
        limit.taken()


def test_the_key_is_not_in_the_file(tmp_path: Path) -> None:
    name = key_name("s3cret-key", "https://api.example")
    limit = SharedLimit(tmp_path / "limits.db", name, 2)
    limit.taken()
    assert "s3cret" not in repr(limit)
    for file in tmp_path.iterdir():
        assert b"s3cret" not in file.read_bytes()


def test_a_file_that_is_none_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "limits.db"
    path.write_bytes(b"nothing of the kind " * 100)
    with pytest.raises(StoreError, match="request limits"):
        SharedLimit(path, "me", 2)


def test_a_limit_of_nothing_is_refused_and_no_limit_lets_all_pass(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        SharedLimit(tmp_path / "limits.db", "me", 0)
    free = NoLimit()
    assert [free.taken() for _ in range(3)] == [0, 0, 0]
    free.hold(0)
    free.done(0)
