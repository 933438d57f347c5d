"""Freezing the published schemas, with the Python that has what contracts import."""

import subprocess

from .settings import HubError, Settings


def schemas(settings: Settings) -> int:
    """Freeze new and changed schemas; incompatible changes are refused.

    :return: the exit code
    """
    if not settings.venv_python.exists():
        raise HubError("The Python parts are not here yet; get them with: make setup")
    return subprocess.run(
        [settings.venv_python, settings.root / "scripts" / "schemas.py"],
        check=False,
    ).returncode
