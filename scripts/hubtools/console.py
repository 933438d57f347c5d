"""What a person sees: one line per step, with the time it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_START = time.monotonic()


def say(text: str = "") -> None:
    """Print at once, also into a pipe: a long step must be seen to be running."""
    print(text, flush=True)


def note(text: str) -> None:
    """A remark below a step."""
    say(f"    {text}")


def warn(text: str) -> None:
    """A problem that does not stop the command."""
    print(f"  ! {text}", file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a piece of work and tell how long it took."""
    say(f"==> {title}")
    start = time.monotonic()
    yield
    seconds = time.monotonic() - start
    if seconds >= 1:
        note(f"done in {seconds:.0f} s")


def elapsed() -> float:
    """Seconds since the command began."""
    return time.monotonic() - _START
