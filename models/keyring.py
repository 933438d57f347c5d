"""Where the keys that encrypt credentials come from.

In this order: the environment variable ``FINANCE_HUB_ENCRYPTION_KEYS``, the option
``finance_hub_encryption_keys`` of the Odoo configuration, and else a key file that
is generated with mode 0600 in the data folder. Several keys are separated by
commas: the first encrypts, all decrypt, which is how keys are rotated.
"""

import os
from functools import lru_cache

from odoo.tools import config

from ..signing import SecretBox, ensure_key_file

ENV_VARIABLE = "FINANCE_HUB_ENCRYPTION_KEYS"
CONFIG_OPTION = "finance_hub_encryption_keys"


def key_file_path() -> str:
    """Return the path of the generated key file.

    One file serves every database of the data folder, so that a renamed or copied
    database goes on working beside its filestore.
    """
    return os.path.join(config["data_dir"], "finance_hub", "encryption.keys")


def _configured_keys() -> tuple[str, ...]:
    raw = os.environ.get(ENV_VARIABLE) or config.get(CONFIG_OPTION) or ""
    return tuple(key.strip() for key in raw.split(",") if key.strip())


@lru_cache(maxsize=32)
def _box(keys: tuple[str, ...]) -> SecretBox:
    return SecretBox(keys)


def secret_box() -> SecretBox:
    """Return the box that encrypts and decrypts credentials.

    :raise SecretBoxError: when a configured key or the key file is unusable; the
        message says what to do
    """
    keys = _configured_keys() or tuple(ensure_key_file(key_file_path()))
    return _box(keys)
