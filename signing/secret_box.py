# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Secrets at rest: encryption under keys that can be rotated, and the key file.

Encryption is Fernet (AES-128-CBC with HMAC-SHA256) through ``MultiFernet`` of the
``cryptography`` package: the first key encrypts, every key decrypts.
"""

import errno
import fcntl
import os
import secrets as random_source
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from . import constants as const

# What file systems without hard links answer.
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class SecretBoxError(ValueError):
    """A key, a key file or an encrypted value cannot be used.

    :ivar code: one of ``no_keys``, ``bad_key``, ``bad_token``, ``bad_text``,
        ``key_file_missing``, ``key_file_permissions``, ``key_file_unusable``.
    :ivar message: a sentence for a person, which says what to do. It never contains
        a key or a secret.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def generate_key() -> str:
    """Return a new key: url-safe base64 of 32 random bytes."""
    return Fernet.generate_key().decode("ascii")


def _fernet(key: object, place: str) -> Fernet:
    try:
        if not isinstance(key, str):
            raise ValueError
        return Fernet(key.strip())
    except ValueError:
        raise SecretBoxError(
            "bad_key",
            f"The encryption key {place} is not a Fernet key. A key is the url-safe "
            "base64 of 32 bytes, 44 characters long; restore it from your backup.",
        ) from None


class SecretBox:
    """Encrypts and decrypts short texts.

    :param keys: Fernet keys as text; the first one encrypts, all of them decrypt.
    :raises SecretBoxError: ``no_keys`` or ``bad_key``.
    """

    def __init__(self, keys: Sequence[str]):
        if isinstance(keys, str):
            keys = (keys,)
        fernets = [_fernet(key, f"number {i}") for i, key in enumerate(keys, 1)]
        if not fernets:
            raise SecretBoxError(
                "no_keys",
                "There is no encryption key. Set one in the configuration or let a "
                "key file be created.",
            )
        self._current = fernets[0]
        self._all = MultiFernet(fernets)

    def __repr__(self):
        return "<SecretBox>"

    def encrypt(self, text: str) -> str:
        """Return ``text`` encrypted under the first key, as ASCII text.

        :raises SecretBoxError: ``bad_text`` when it cannot be encoded as UTF-8.
        """
        try:
            raw = text.encode("utf-8")
        except UnicodeEncodeError:
            raise SecretBoxError(
                "bad_text",
                "The secret holds characters which are no text. Copy it again.",
            ) from None
        return self._current.encrypt(raw).decode("ascii")

    def decrypt(self, token: str) -> str:
        """Return the text inside ``token``.

        :raises SecretBoxError: ``bad_token`` when no key fits or it was changed.
        """
        try:
            return self._all.decrypt(token.encode("ascii")).decode("utf-8")
        except (InvalidToken, UnicodeError):
            raise self._bad_token() from None

    def rotate(self, token: str) -> str:
        """Return ``token`` encrypted anew under the first key.

        :raises SecretBoxError: ``bad_token`` when no key fits or it was changed.
        """
        try:
            return self._all.rotate(token.encode("ascii")).decode("ascii")
        except (InvalidToken, UnicodeError):
            raise self._bad_token() from None

    def is_current(self, token: str) -> bool:
        """Whether ``token`` is encrypted under the first key."""
        try:
            self._current.decrypt(token.encode("ascii"))
        except (InvalidToken, UnicodeError):
            return False
        return True

    @staticmethod
    def _bad_token() -> SecretBoxError:
        return SecretBoxError(
            "bad_token",
            "This secret cannot be decrypted with any of the present encryption keys. "
            "Put the key it was encrypted with back as a further key after the first, "
            "or enter the secret anew.",
        )


# === KEY FILE === #


def read_key_file(path: str | os.PathLike) -> list[str]:
    """Return the keys of a key file: one a line, the first encrypts.

    Empty lines and what follows a ``#`` are left out.

    :raises SecretBoxError: ``key_file_missing``, ``key_file_permissions`` (readable by
        group or others, or somebody else's), ``key_file_unusable``, ``bad_key``,
        ``no_keys``.
    """
    path = Path(path)
    try:
        # Not blocking: opening a pipe put in the file's place would wait for ever.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise SecretBoxError(
            "key_file_missing",
            f"The key file {path} does not exist. Restore it from your backup: without "
            "it the stored secrets cannot be read.",
        ) from None
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        # Judged on the open file, so it cannot be swapped after the check.
        _check_key_file(path, os.fstat(handle))
        with open(handle, "rb", closefd=False) as file:
            raw = file.read(const.KEY_FILE_MAX_BYTES + 1)
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        os.close(handle)
    if len(raw) > const.KEY_FILE_MAX_BYTES:
        raise SecretBoxError(
            "key_file_unusable",
            f"The key file {path} is larger than {const.KEY_FILE_MAX_BYTES} bytes. Is "
            "it the right file?",
        )
    keys = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        key = line.partition("#")[0].strip()
        if key:
            _fernet(key, f"in line {number} of {path}")
            keys.append(key)
    if not keys:
        raise SecretBoxError(
            "no_keys",
            f"The key file {path} holds no key. Restore it from your backup, or delete "
            "it to get a new key if no secret was stored yet.",
        )
    return keys


def _check_key_file(path: Path, status: os.stat_result):
    if not stat.S_ISREG(status.st_mode):
        raise SecretBoxError(
            "key_file_unusable", f"The key file {path} is not a regular file."
        )
    if status.st_mode & const.KEY_FILE_FORBIDDEN_BITS:
        raise SecretBoxError(
            "key_file_permissions",
            f"The key file {path} can be used by other users of this machine (mode "
            f"{stat.S_IMODE(status.st_mode):04o}). Run: chmod 600 {path}",
        )
    # The owner can give the rights back at any time, so he has to be trusted.
    if os.geteuid() and status.st_uid not in (os.geteuid(), 0):
        raise SecretBoxError(
            "key_file_permissions",
            f"The key file {path} belongs to another user of this machine. Run: chown "
            f"to the user which runs Odoo (number {os.geteuid()}).",
        )


def _unusable(path: Path, error: OSError) -> SecretBoxError:
    return SecretBoxError(
        "key_file_unusable",
        f"The key file {path} cannot be used: {error.strerror}. Check the folder and "
        "its rights, or name another place in the configuration.",
    )


def ensure_key_file(path: str | os.PathLike) -> list[str]:
    """Return the keys of a key file, after creating it when there is none.

    A new file holds one new key and has mode 0600; folders made for it have 0700.
    When several processes come at once exactly one file appears, complete from its
    first moment, and every process returns that file's keys.

    :raises SecretBoxError: see :func:`read_key_file`.
    """
    path = Path(path)
    try:
        if not path.exists():
            _create_key_file(path)
    except OSError as error:
        raise _unusable(path, error) from error
    return read_key_file(path)


def _create_key_file(path: Path):
    for folder in reversed(path.parents):
        if not folder.exists():
            # Another process may make the same folder at the same time.
            try:
                folder.mkdir(mode=const.KEY_FOLDER_MODE)
            except FileExistsError:
                continue
    # The file is written aside and gets its name only once it is complete: a reader
    # never sees half a key.
    aside = path.with_name(f".{path.name}.{random_source.token_hex(8)}")
    handle = os.open(
        aside,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
        const.KEY_FILE_MODE,
    )
    try:
        with open(handle, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), const.KEY_FILE_MODE)
            file.write(
                "# Encryption keys of the Finance Integration Hub, one a line.\n"
                "# The first encrypts, all decrypt. Keep a backup: without this file\n"
                "# the stored secrets cannot be read.\n"
                f"{generate_key()}\n"
            )
            file.flush()
            os.fsync(file.fileno())
        _publish(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _publish(aside: Path, path: Path):
    """Give the complete file its name unless another process was faster."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            os.link(aside, path)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            # No hard links here: a lock on the folder keeps the processes apart.
            fcntl.flock(folder, fcntl.LOCK_EX)
            if path.exists():
                return
            aside.rename(path)
        os.fsync(folder)
    finally:
        os.close(folder)
