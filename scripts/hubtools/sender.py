"""An external system that sends signed commands to the hub.

Written against the public description only (CloudEvents 1.0 in structured mode,
signed after Standard Webhooks), as a partner would write it.
"""

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field

from .process import LOCAL


@dataclass(frozen=True)
class Answer:
    """What the hub answered."""

    status: int
    content: dict = field(default_factory=dict)


class Sender:
    """One external system behind one inbound connector.

    :param url: the hub's address, without the path
    :param code: the connector's code
    :param secret: the secret they share, ``whsec_…``
    """

    def __init__(self, url: str, code: str, secret: str, timeout: float = 60):
        self.url = f"{url}/finance/v1/inbound/{code}"
        self.source = f"urn:{code}"
        self.secret = secret
        self.timeout = timeout

    def envelope(
        self, command: str, data: dict, identifier: str | None = None
    ) -> bytes:
        """A CloudEvents envelope around the data of a command."""
        return json.dumps(
            {
                "specversion": "1.0",
                "id": identifier or str(uuid.uuid4()),
                "source": self.source,
                "type": command,
                "datacontenttype": "application/json",
                "data": data,
            }
        ).encode()

    def sign(self, identifier: str, timestamp: int, body: bytes) -> str:
        """The value of ``webhook-signature``."""
        encoded = self.secret.removeprefix("whsec_")
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        signed = f"{identifier}.{timestamp}.".encode() + body
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"

    def send(
        self,
        command: str,
        data: dict,
        *,
        identifier: str | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a command, signed now.

        :param command: its type with version, as ``payment.captured.v1``
        :param identifier: of the message; sending it again says it is the same one
        :param body: send these bytes instead of an envelope around ``data``
        :param headers: replace or add headers (to spoil them in tests)
        """
        identifier = identifier or f"msg_{uuid.uuid4().hex}"
        body = self.envelope(command, data, identifier) if body is None else body
        timestamp = int(time.time())
        request = urllib.request.Request(
            self.url,
            data=body,
            headers={
                "Content-Type": "application/cloudevents+json",
                "webhook-id": identifier,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": self.sign(identifier, timestamp, body),
                **(headers or {}),
            },
        )
        try:
            with LOCAL.open(request, timeout=self.timeout) as answer:
                return Answer(answer.status, _json(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _json(error.read()))


def _json(text: bytes) -> dict:
    try:
        content = json.loads(text)
    except ValueError:
        return {"text": text.decode(errors="replace")}
    return content if isinstance(content, dict) else {"content": content}
