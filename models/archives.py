"""Where archive files are kept.

By default with Odoo's own attachments. A folder can be named on the server's side
(``FINANCE_HUB_ARCHIVE_FOLDER`` in the environment, ``finance_hub_archive_folder`` in
the configuration file), for example one that is written once and read only afterwards.
"""

import os
import tempfile
from pathlib import Path

from odoo.tools import config

ENV_VARIABLE = "FINANCE_HUB_ARCHIVE_FOLDER"
CONFIG_OPTION = "finance_hub_archive_folder"


def archive_folder() -> Path | None:
    """Return the configured folder, ``None`` to keep archives as attachments."""
    raw = os.environ.get(ENV_VARIABLE) or config.get(CONFIG_OPTION)
    return Path(raw) if raw else None


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever happens.

    :raises OSError: when the folder can't be written
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
