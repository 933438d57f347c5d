# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import errno
import multiprocessing
import os
import stat

import pytest
from finance_hub.signing import (
    SecretBox,
    SecretBoxError,
    ensure_key_file,
    generate_key,
    read_key_file,
)
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = generate_key(), generate_key()


def refused(code, function, *args):
    with pytest.raises(SecretBoxError) as caught:
        function(*args)
    assert caught.value.code == code
    return caught.value.message


# === BOX === #


@given(st.text())
def test_roundtrip(text):
    box = SecretBox([NEW])
    try:
        token = box.encrypt(text)
    except SecretBoxError as error:
        assert error.code == "bad_text"
        assert any(0xD800 <= ord(letter) < 0xE000 for letter in text)
    else:
        assert token.isascii() and box.decrypt(token) == text


def test_rotation():
    token = SecretBox([OLD]).encrypt("secret")
    both = SecretBox([NEW, OLD])
    assert both.decrypt(token) == "secret"
    assert not both.is_current(token)
    rotated = both.rotate(token)
    assert both.is_current(rotated)
    assert SecretBox([NEW]).decrypt(rotated) == "secret"
    refused("bad_token", SecretBox([NEW]).decrypt, token)
    refused("bad_token", SecretBox([NEW]).rotate, token)


@pytest.mark.parametrize("token", ["", "x", "é", "gAAAAA", "\ud800"])
def test_bad_tokens(token):
    box = SecretBox([NEW])
    refused("bad_token", box.decrypt, token)
    refused("bad_token", box.rotate, token)
    assert not box.is_current(token)


def test_a_changed_token_is_refused():
    token = SecretBox([NEW]).encrypt("secret")
    middle = len(token) // 2
    letter = "A" if token[middle] != "A" else "B"
    refused(
        "bad_token",
        SecretBox([NEW]).decrypt,
        token[:middle] + letter + token[middle + 1 :],
    )


def test_bad_keys():
    refused("no_keys", SecretBox, [])
    for key in ("", "x", None, NEW[:-4], "whsec_" + NEW):
        message = refused("bad_key", SecretBox, [NEW, key])
        assert "number 2" in message and NEW not in message
    assert NEW not in repr(SecretBox([NEW]))


# === KEY FILE === #


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_created_once_and_private(tmp_path):
    path = tmp_path / "a" / "b" / "keys"
    previous = os.umask(0)
    try:
        keys = ensure_key_file(path)
    finally:
        os.umask(previous)
    assert len(keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert ensure_key_file(path) == read_key_file(path) == keys
    assert [entry.name for entry in path.parent.iterdir()] == ["keys"]


def test_comments_and_order(tmp_path):
    path = write(tmp_path / "keys", f"# new\n\n{NEW} # of May\r\n  {OLD}  \n")
    assert read_key_file(path) == [NEW, OLD]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o620])
def test_others_must_have_no_rights(tmp_path, mode):
    path = write(tmp_path / "keys", NEW, mode)
    assert f"chmod 600 {path}" in refused("key_file_permissions", read_key_file, path)
    refused("key_file_permissions", ensure_key_file, path)


def test_unusable_files(tmp_path):
    refused("key_file_missing", read_key_file, tmp_path / "none")
    refused("key_file_unusable", read_key_file, tmp_path)
    refused("no_keys", read_key_file, write(tmp_path / "empty", "# nothing\n"))
    refused("key_file_unusable", read_key_file, write(tmp_path / "big", "#" * 70000))
    message = refused("bad_key", read_key_file, write(tmp_path / "bad", f"{NEW}\nxx\n"))
    assert "line 2" in message and NEW not in message
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "bytes").chmod(0o600)
    refused("bad_key", read_key_file, tmp_path / "bytes")
    os.mkfifo(tmp_path / "pipe", 0o600)
    refused("key_file_unusable", read_key_file, tmp_path / "pipe")
    refused("key_file_unusable", ensure_key_file, tmp_path / "empty" / "below")


def _race(path, barrier, answers):
    barrier.wait()
    answers.put(ensure_key_file(path))


def _race_without_links(path, barrier, answers):
    def no_links(*_args):
        raise OSError(errno.EPERM, "no hard links here")

    os.link = no_links
    _race(path, barrier, answers)


@pytest.mark.parametrize("target", [_race, _race_without_links])
def test_processes_that_come_at_once_agree(tmp_path, target):
    path = tmp_path / "folder" / "keys"
    # Children are forked so that they need not import this file by its name.
    context = multiprocessing.get_context("fork")
    count = 12
    barrier, answers = context.Barrier(count), context.Queue()
    processes = [
        context.Process(target=target, args=(path, barrier, answers))
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    keys = [answers.get(timeout=20) for _ in processes]
    for process in processes:
        process.join()
    assert all(process.exitcode == 0 for process in processes)
    assert all(found == keys[0] for found in keys)
    assert read_key_file(path) == keys[0]
    assert [entry.name for entry in path.parent.iterdir()] == ["keys"]
