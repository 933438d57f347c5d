"""Running commands to their end, and programs in the background.

A background program is its own process group, and a small note file tells its id
and the kernel's start time of that id. Both must match before anything is
stopped, so that an id which the kernel has given to another program since is
never touched.
"""

import errno
import glob
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .settings import STOP_TIMEOUT, HubError


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    hint: str = "",
    script: str | None = None,
    **options,
) -> str:
    """Run a command to its end and return its output.

    :param what: the deed in words, for the message when it fails
    :param script: what it reads; nothing by default
    :param env: variables to add to the present ones
    :param log: a file that receives the output instead
    :param hint: what a person may do about a failure
    :raise HubError: when the command cannot be started or exits non-zero; the
        last lines of its output are part of the message
    """
    arguments = [str(part) for part in command]
    if script is None:
        options["stdin"] = subprocess.DEVNULL
    else:
        options["input"] = script.encode() if log else script
    try:
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as stream:
                done = subprocess.run(
                    arguments,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(env or {})},
                    cwd=cwd,
                    check=False,
                    **options,
                )
            output = ""
        else:
            done = subprocess.run(
                arguments,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **(env or {})},
                cwd=cwd,
                check=False,
                **options,
            )
            output = done.stdout
    except OSError as error:
        raise HubError(f"{what}: {arguments[0]} cannot be run: {error}") from error
    if done.returncode:
        lines = tail(log) if log else "\n".join(output.splitlines()[-25:])
        parts = [f"{what} failed (exit code {done.returncode})."]
        if lines:
            parts.append(lines)
        if log:
            parts.append(f"The whole output is in {log}.")
        if hint:
            parts.append(hint)
        raise HubError("\n".join(parts))
    return output


def tail(path: Path | None, count: int = 25) -> str:
    """The last lines of a file; empty when there is none."""
    if not path or not path.exists():
        return ""
    with path.open(errors="replace") as stream:
        return "".join(deque(stream, maxlen=count)).rstrip()


# === BACKGROUND PROGRAMS === #
def _started(pid: int) -> str | None:
    """The kernel's start time of a process; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


class Background:
    """A program in the background, known by its note file.

    :param name: what it is called in messages
    :param note: the note file
    :param log: the file that receives its output
    """

    def __init__(self, name: str, note: Path, log: Path):
        self.name = name
        self.note = note
        self.log = log

    @property
    def pid(self) -> int | None:
        """The process id while the program runs, else None."""
        try:
            known = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return None
        started = _started(known["pid"])
        return known["pid"] if started and started == known["started"] else None

    def start(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **options,
    ) -> int:
        """Start the program as the leader of a new process group.

        :param options: more of ``subprocess.Popen``, such as ``user``
        :return: its process id
        """
        self.note.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as stream:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
                **options,
            )
        self._process = process
        self.note.write_text(
            json.dumps({"pid": process.pid, "started": _started(process.pid)})
        )
        return process.pid

    def _reap(self) -> None:
        """Collect a child of ours that ended, so that it is not a zombie."""
        process = getattr(self, "_process", None)
        if process:
            process.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the program and all of its children."""
        pid = self.pid
        if pid:
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                return

    def _group_alive(self, group: int) -> bool:
        """Whether any thread of the group still runs (zombies do not).

        Threads and not processes are looked at: a killed process is a zombie as
        soon as its first thread is, while another one still holds its ports.
        """
        self._reap()
        # Not by pathlib, which fails when a process ends while it is looked at.
        for stat in glob.iglob("/proc/[0-9]*/task/[0-9]*/stat"):
            try:
                fields = Path(stat).read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] not in "ZX":
                return True
        return False

    def stop(self, timeout: float = STOP_TIMEOUT) -> bool:
        """End the program: politely, and after the time-out without mercy.

        :return: whether it was running
        """
        pid = self.pid
        if not pid:
            self.note.unlink(missing_ok=True)
            return False
        self.signal(signal.SIGTERM)
        if not wait_until(lambda: not self._group_alive(pid), timeout):
            self.kill()
        self.note.unlink(missing_ok=True)
        return True

    def kill(self) -> None:
        """End the program and its children as a power cut would (SIGKILL)."""
        pid = self.pid
        if not pid:
            return
        self.signal(signal.SIGKILL)
        wait_until(lambda: not self._group_alive(pid), 10)
        self.note.unlink(missing_ok=True)

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until the program answers.

        :raise HubError: when it ends before that, or takes too long
        """

        def settled() -> bool:
            self._reap()
            return ready() or not self.pid

        wait_until(settled, timeout, pause=0.2)
        if not self.pid:
            raise HubError(
                f"{self.name} ended while it was starting:\n{tail(self.log)}\n"
                f"Its log is {self.log}."
            )
        if not ready():
            raise HubError(
                f"{self.name} did not answer within {timeout:.0f} s:\n"
                f"{tail(self.log)}\nIts log is {self.log}."
            )


def wait_until(
    condition: Callable[[], bool], timeout: float, pause: float = 0.05
) -> bool:
    """Ask again and again until a condition holds or the time is over."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


# === PORTS === #
#: Seconds that a port may still be taken.
PORT_PATIENCE = 3


def port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def port_owner(port: int) -> str:
    """Who listens on a local TCP port, as far as the kernel lets us see."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                inodes.add(f"socket:[{fields[9]}]")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            handles = list((folder / "fd").iterdir())
            if any(os.readlink(handle) in inodes for handle in handles):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                text = command.decode(errors="replace").strip()
                return f"process {folder.name}: {text[:120]}"
        except OSError:
            continue
    return "another program"


def require_port(port: int, variable: str, what: str) -> None:
    """Refuse to start on a port that is taken, and say which variable moves it.

    A program that was just ended may need a moment to let go of it.

    :raise HubError: with the program that has the port
    """
    if not wait_until(lambda: port_free(port), PORT_PATIENCE, pause=0.2):
        raise HubError(
            f"Port {port}, meant for {what}, is taken by {port_owner(port)}.\n"
            f"Stop that program, or choose another port: {variable}=<port> make …"
        )


#: Opens addresses of this machine, whatever proxy the environment names.
LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_ok(url: str, timeout: float = 5) -> bool:
    """Whether a GET is answered with 200; every error is a no."""
    try:
        with LOCAL.open(url, timeout=timeout) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError, ValueError):
        return False
