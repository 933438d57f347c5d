# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import asyncio
import contextlib
import os
import ssl
import stat
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat
from finance_hub.transport import (
    CertificateError,
    check_authorities,
    check_pair,
    client_context,
    read_certificate,
    read_private_key,
    tls,
)

sys.path.insert(0, str(Path(__file__).parent))
from certificates import Authority, key_pem

OURS = Authority("Our Authority")
THEIRS = Authority("Their Authority")
CLIENT, CLIENT_KEY = OURS.issue("hub.example.com")
SERVER, SERVER_KEY = THEIRS.issue("receiver.example.com")
RSA = rsa.generate_private_key(65537, 2048)


def refused(code, function, *args, **kwargs):
    with pytest.raises(CertificateError) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")
    return caught.value.message


@contextlib.asynccontextmanager
async def receiver():
    """A real receiver that asks for a certificate of our authority."""

    async def hook(request):
        peer = request.transport.get_extra_info("peercert")
        return web.Response(
            text=dict(part[0] for part in peer["subject"])["commonName"]
        )

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=OURS.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(SERVER + SERVER_KEY)
        file.flush()
        context.load_cert_chain(file.name)
    app = web.Application()
    app.router.add_post("/", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def call(context):
    """Return the name that the receiver read in our certificate."""

    async def main():
        async with (
            receiver() as url,
            aiohttp.ClientSession() as session,
            session.post(url, data=b"x", ssl=context) as response,
        ):
            return await response.text()

    return asyncio.run(main())


# === THE HANDSHAKE === #


def test_both_sides_know_each_other():
    assert call(client_context(CLIENT, CLIENT_KEY, ca_pem=THEIRS.pem)) == (
        "hub.example.com"
    )


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "encrypted", "traditional"])
def test_kinds_of_keys(kind):
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else RSA
    certificate, _ = OURS.issue(kind, key)
    password = "pass phrase" if kind == "encrypted" else None
    form = (
        PrivateFormat.TraditionalOpenSSL
        if kind == "traditional"
        else PrivateFormat.PKCS8
    )
    pem = key_pem(key, password and password.encode(), form)
    context = client_context(certificate, pem, password, THEIRS.pem)
    assert call(context) == kind


def test_the_receiver_is_always_verified():
    for ca_pem in (None, OURS.pem):
        context = client_context(CLIENT, CLIENT_KEY, ca_pem=ca_pem)
        assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            call(context)


def test_a_private_authority_takes_the_place_of_the_public_ones():
    assert client_context().cert_store_stats()["x509_ca"] > 1
    own = client_context(ca_pem=THEIRS.pem + OURS.pem).get_ca_certs()
    assert {dict(part[0] for part in ca["subject"])["commonName"] for ca in own} == {
        "Our Authority",
        "Their Authority",
    }
    assert check_authorities(THEIRS.pem + "\n" + OURS.pem) == 2


def test_without_a_certificate_the_receiver_refuses():
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        call(client_context(ca_pem=THEIRS.pem))


def test_an_intermediate_authority_goes_along():
    """What follows the certificate in the text is sent as its chain."""
    context = client_context(CLIENT + OURS.pem, CLIENT_KEY, ca_pem=THEIRS.pem)
    assert call(context) == "hub.example.com"


# === NO KEY LIES AROUND === #


@pytest.mark.parametrize("in_memory", [True, False])
def test_no_key_is_left_behind_and_none_is_ever_in_clear(in_memory):
    seen = []
    load = ssl.SSLContext.load_cert_chain

    def look(context, path, password=None):
        content = Path(path).read_bytes()
        seen.append((path, content, stat.S_IMODE(os.stat(path).st_mode)))
        load(context, path, password=password)

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(ssl.SSLContext, "load_cert_chain", look),
        patch.object(tempfile, "tempdir", folder),
        contextlib.ExitStack() as stack,
    ):
        if not in_memory:
            stack.enter_context(patch.object(tls.os.path, "isdir", lambda _path: False))
        client_context(CLIENT, CLIENT_KEY)
        assert os.listdir(folder) == []
    [(path, content, mode)] = seen
    assert path.startswith("/proc/self/fd/") is in_memory
    assert not os.path.exists(path)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in content
    assert b"BEGIN PRIVATE KEY" not in content
    if not in_memory:
        assert mode == 0o600


def test_nothing_is_left_behind_by_a_failure():
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(tempfile, "tempdir", folder),
        patch.object(tls.os.path, "isdir", lambda _path: False),
        patch.object(ssl.SSLContext, "load_cert_chain", side_effect=ssl.SSLError),
    ):
        refused("bad_certificate", client_context, CLIENT, CLIENT_KEY)
        assert os.listdir(folder) == []


# === READING === #


def test_what_a_certificate_says():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    pem, _key = OURS.issue("hub.example.com", days=9, start=start)
    certificate = read_certificate("Bag Attributes\n" + pem + OURS.pem)
    assert certificate.subject == "CN=hub.example.com"
    assert certificate.issuer == "CN=Our Authority"
    assert certificate.valid_from == start
    assert certificate.valid_until == start + timedelta(days=10)
    assert len(certificate.fingerprint) == 64


def test_keys_are_read_and_paired():
    protected = key_pem(RSA, b"pass")
    plain = read_private_key(protected, "pass")
    assert plain.startswith("-----BEGIN PRIVATE KEY-----")
    certificate, _ = OURS.issue("rsa", RSA)
    check_pair(certificate, plain)
    check_pair(certificate, protected, "pass")
    refused("not_a_pair", check_pair, certificate, CLIENT_KEY)
    refused("not_a_pair", client_context, CLIENT, plain)
    refused("not_a_pair", client_context, OURS.pem + CLIENT, CLIENT_KEY)


def test_what_cannot_be_read():
    for text in ("", None, "x", CLIENT[:200], "A" * 300_000, CLIENT_KEY[:10]):
        refused("bad_certificate", read_certificate, text)
        refused("bad_certificate", client_context, text or "x", CLIENT_KEY)
    broken = CLIENT.replace("MII", "AII", 1)
    refused("bad_certificate", read_certificate, broken)
    for text in ("", None, "x", CLIENT, CLIENT_KEY[:80], "A" * 300_000):
        refused("bad_key", read_private_key, text)
        refused("bad_key", client_context, CLIENT, text)
    broken = CLIENT_KEY.replace("MIG", "AIG", 1)
    refused("bad_key", read_private_key, broken)
    assert "passphrase" in refused("bad_key", read_private_key, key_pem(RSA, b"pass"))
    refused("bad_key", read_private_key, key_pem(RSA, b"pass"), "wrong")
    refused("bad_key", read_private_key, CLIENT_KEY, "not needed")
    for text in ("x", CLIENT[:200]):
        refused("bad_authority", check_authorities, text)
        refused("bad_authority", client_context, ca_pem=text)


def test_a_key_in_the_wrong_field_is_said():
    """It would lie there in clear."""
    for text in (CLIENT + CLIENT_KEY, CLIENT_KEY, key_pem(RSA, b"pass") + CLIENT):
        message = refused("key_in_certificate", read_certificate, text)
        assert "field for the key" in message
        refused("key_in_certificate", check_authorities, text)
