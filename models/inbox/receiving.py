"""How a message gets into the inbox: one statement, whatever comes of it."""

import base64
import hashlib
import uuid
from typing import NamedTuple

from psycopg2.extras import Json

from ...signing import mask_headers
from .. import clock, constants
from ..keyring import secret_box

# Whether the message is known, and then that it came again, is one look: on the way of
# each call from outside every round trip counts.
STORE = """
    WITH known AS (
        SELECT id, COALESCE(fingerprint, sha256) AS digest FROM finance_message
         WHERE connector_id = %(connector)s AND external_id = %(external_id)s
    ), fresh AS (
        INSERT INTO finance_message (
            connector_id, company_id, external_id, received_at, state, body, encrypted,
            size, sha256, fingerprint, content_type, headers, remote_addr, verified_by,
            correlation_id, conflict_id, attempt_count
        )
        SELECT %(connector)s, %(company)s, %(external_id)s, %(now)s, %(state)s,
               %(body)s, %(encrypted)s, %(size)s, %(sha256)s, %(fingerprint)s,
               %(content_type)s, %(headers)s, %(remote_addr)s, %(verified_by)s,
               %(correlation_id)s, %(conflict)s, 0
         WHERE NOT EXISTS (SELECT FROM known)
        ON CONFLICT (connector_id, external_id) DO NOTHING
        RETURNING id
    ), again AS (
        INSERT INTO finance_message_duplicate (
            message_ref, company_id, received_at, remote_addr, number
        )
        SELECT id, %(company)s, %(now)s, %(remote_addr)s, 1 FROM known
         WHERE digest = %(digest)s
        RETURNING id
    )
    SELECT (SELECT id FROM fresh), (SELECT id FROM known),
           (SELECT digest FROM known),
           -- The message itself is safe; for a count nobody waits for the disk.
           CASE WHEN EXISTS (SELECT FROM again)
                THEN set_config('synchronous_commit', 'off', true) END
"""


class Arrival(NamedTuple):
    """A verified call, as it goes into the inbox.

    :ivar external_id: the sender's id of the message
    :ivar body: as it came
    :ivar headers: mapping of the request's headers
    :ivar fingerprint: the bytes by which two messages of one id are compared
    """

    connector_id: int
    company_id: int
    encrypt: bool
    external_id: str
    body: bytes
    headers: dict
    remote_addr: str
    verified_by: str
    fingerprint: bytes


def store(cr, arrival, state="received", conflict_id=None):
    """Store a message, or that a known one came again.

    :param conflict_id: the message that has the same id and other content
    :return: (id of the new message or None, id of the known one or None, whether the
        known one says the same)
    :raise psycopg2.errors.SerializationFailure: when another call stored the same
        message since this transaction began; to be run again in a new one
    """
    sha256 = hashlib.sha256(arrival.body).hexdigest()
    digest = digest_of(arrival, sha256)
    cr.execute(
        STORE,
        {
            "connector": arrival.connector_id,
            "company": arrival.company_id,
            "external_id": arrival.external_id,
            "now": clock.naive_now(),
            "state": state,
            "body": kept_body(arrival.body, encrypt=arrival.encrypt),
            "encrypted": arrival.encrypt,
            "size": len(arrival.body),
            "sha256": sha256,
            "fingerprint": None if digest == sha256 else digest,
            "digest": digest,
            "content_type": clean(arrival.headers.get("Content-Type")),
            "headers": Json(kept_headers(arrival.headers)),
            "remote_addr": arrival.remote_addr,
            "verified_by": arrival.verified_by,
            "correlation_id": str(uuid.uuid4()),
            "conflict": conflict_id,
        },
        log_exceptions=False,
    )
    fresh, known, known_digest, _unsynchronous = cr.fetchone()
    return fresh, known, known_digest == digest


def digest_of(arrival, sha256=None):
    """Return the digest by which two messages of one id are compared.

    :param str sha256: digest of the body, if it is known already
    """
    if arrival.fingerprint is arrival.body and sha256:
        return sha256
    return hashlib.sha256(arrival.fingerprint).hexdigest()


def kept_body(body, *, encrypt):
    """Return a body as the column holds it.

    :raise signing.SecretBoxError: when it is to be encrypted and there is no key
    """
    encoded = base64.b64encode(body)
    if encrypt:
        return secret_box().encrypt(encoded.decode("ascii")).encode("ascii")
    return encoded


def raw_body(kept, *, encrypted):
    """Return a body as it came.

    :param kept: what the column holds
    :raise signing.SecretBoxError: when it can't be decrypted
    """
    if encrypted:
        kept = secret_box().decrypt(bytes(kept).decode("ascii"))
    return base64.b64decode(kept)


def kept_headers(headers):
    """Return headers as they are kept: bounded, without secrets."""
    return {
        clean(name): clean(value[: constants.KEPT_HEADER_CHARS])
        for name, value in mask_headers(headers).items()
    }


def clean(text):
    """Return a header's text without NUL, which PostgreSQL can't store."""
    return text and text.replace("\0", "\ufffd")
