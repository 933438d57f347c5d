"""The bundled receiver as a background program."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from .process import LOCAL, Background, http_ok, require_port
from .settings import HubError, Settings


class Receiver:
    """Starts, stops, steers and reads one bundled receiver.

    :param name: names its note file and its log
    :param port: where it listens on this machine
    :param port_variable: the variable that moves the port
    """

    def __init__(self, settings: Settings, name: str, port: int, port_variable: str):
        self.settings = settings
        self.port = port
        self.port_variable = port_variable
        self.url = f"http://127.0.0.1:{port}"
        self.secrets_file = settings.run / f"receiver-{name}-secrets.json"
        self.background = Background(
            f"receiver ({name})",
            settings.run / f"receiver-{name}.json",
            settings.logs / f"receiver-{name}.log",
        )

    # === LIFE === #
    def start(self, *, quiet: bool = False) -> None:
        """Start it in the background and wait until it answers.

        :param quiet: keep only identifiers and times of what arrives
        """
        if self.background.pid:
            return
        require_port(self.port, self.port_variable, "the receiver")
        script = Path(__file__).resolve().parents[1] / "receiver.py"
        command: list[str | Path] = [
            self.settings.venv_python,
            script,
            "--port",
            str(self.port),
            "--secrets-file",
            self.secrets_file,
        ]
        if quiet:
            command.append("--quiet")
        self.background.start(command, cwd=self.settings.home)
        self.background.wait_ready(lambda: http_ok(f"{self.url}/health"), 30)

    def stop(self) -> bool:
        return self.background.stop(timeout=5)

    def kill(self) -> None:
        self.background.kill()

    # === TALKING TO IT === #
    def hook(self, name: str) -> str:
        """The address where it takes the deliveries of one name."""
        return f"{self.url}/hooks/{name}"

    def _call(self, path: str, data: dict | None = None) -> dict:
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=None if data is None else json.dumps(data).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with LOCAL.open(request, timeout=15) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise HubError(
                f"receiver: {error.read().decode(errors='replace')}"
            ) from None

    def control(self, mode: str, name: str | None = None, **options) -> dict:
        """Switch how it answers.

        :param mode: ``ok``, ``fail``, ``slow``, ``gone`` or ``throttle``
        :param name: for the hook of this name only (default: for all)
        :param options: ``status``, ``delay`` (seconds), ``retry_after`` (seconds)
        """
        return self._call("/control", {"mode": mode, "name": name, **options})

    def set_secret(self, name: str, secret: str) -> None:
        """Tell the secret (``whsec_…``) that verifies the deliveries of a name."""
        self._call("/secrets", {"name": name, "secret": secret})

    def received(self, after: int = 0, **filters: str) -> dict:
        """What arrived, with counts; see ``GET /received.json`` of the receiver."""
        query = "&".join(
            f"{key}={urllib.request.quote(value)}" for key, value in filters.items()
        )
        return self._call(f"/received.json?after={after}&{query}")

    def counts(self) -> dict:
        """The counters alone: total, accepted, refused, unique, duplicates."""
        return self._call("/received.json?limit=0")["counts"]

    def clear(self) -> None:
        """Forget what arrived; secrets and the way to answer stay."""
        self._call("/clear", {})
