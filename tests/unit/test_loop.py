"""The feed's thread."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from workbench.errors import FeedClosedError
from workbench.flow.loop import LoopThread

#: Seconds; a machine may stand still just where something waits for an answer.
PATIENCE = 300.0


def test_calls_run_in_the_thread_and_bring_back_what_they_raise() -> None:
    loop = LoopThread("a-name")
    try:
        assert loop.call(lambda: threading.current_thread().name, PATIENCE) == "a-name"
        within = loop.call(lambda: loop.call(lambda: loop.inside()), PATIENCE)
        assert within, "a call within a call"
        assert not loop.inside()
        with pytest.raises(ZeroDivisionError):
            loop.call(lambda: 1 / 0, PATIENCE)
        assert loop.call(lambda: 5, PATIENCE) == 5
    finally:
        loop.close(PATIENCE)


def test_it_works_inside_a_running_loop() -> None:
    async def cell() -> int:
        loop = LoopThread("cell")
        try:
            return loop.call(lambda: 42, PATIENCE)
        finally:
            loop.close(PATIENCE)

    assert asyncio.run(cell()) == 42


def test_closing_ends_what_is_running() -> None:
    loop = LoopThread("ending")
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    future = loop.submit(forever())
    loop.call(lambda: None, PATIENCE)
    loop.close(PATIENCE)
    loop.close(PATIENCE)
    assert ended.is_set()
    assert future.cancelled()
    assert not loop.running
    with pytest.raises(FeedClosedError):
        loop.call(lambda: None)
    assert not any(thread.name == "ending" for thread in threading.enumerate())


def test_who_comes_while_it_closes_is_told_so_at_once(poll_for: Callable[..., None]) -> None:
    loop = LoopThread("closing")
    busy, go = threading.Event(), threading.Event()
    told: list[str] = []

    def work() -> None:
        busy.set()
        go.wait(PATIENCE)

    def wait_in_line() -> None:
        try:
            loop.call(lambda: told.append("ran"), PATIENCE)
        except FeedClosedError:
            told.append("closed")

    threads = [threading.Thread(target=loop.call, args=(work, PATIENCE))]
    threads[0].start()
    assert busy.wait(PATIENCE)
    threads += [
        threading.Thread(target=wait_in_line),
        threading.Thread(target=loop.close, args=(PATIENCE,)),
    ]
    for thread in threads[1:]:
        thread.start()
    poll_for(lambda: not loop.running, PATIENCE)
    try:
        with pytest.raises(FeedClosedError):
            loop.call(lambda: told.append("too late"))
    finally:
        go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert told in (["ran"], ["closed"])


SUSPENDED = """
import sys
from workbench.flow.loop import LoopThread

def work():
    print("begun", flush=True)
    sys.stdin.readline()
    sum(range(5_000_000))
    return True

async def later():
    work()

loop = LoopThread("workbench-test")
print(loop.call(work, 2.0) if sys.argv[1] == "call" else loop.within(later(), 2.0), flush=True)
loop.close()
"""


@pytest.mark.parametrize("how", ["call", "within"])
def test_time_for_which_a_machine_is_suspended_is_not_waited(
    how: str, poll_for: Callable[..., None]
) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", SUSPENDED, how]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            child.send_signal(signal.SIGSTOP)
            too_late = time.monotonic() + 2.5
            poll_for(lambda: time.monotonic() > too_late)
            child.stdin.write("\n")
            child.stdin.flush()
            child.send_signal(signal.SIGCONT)
            assert child.communicate(timeout=300)[0] == "True\n"
        finally:
            child.kill()
