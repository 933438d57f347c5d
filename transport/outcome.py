# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What one attempt to send came to."""

from dataclasses import dataclass, field

from . import constants as const

#: Why there was no usable answer: code to its meaning.
ERRORS = {
    "timeout": "no answer in time",
    "connect": "no connection, or it broke off",
    "tls": "the TLS certificate or handshake was refused",
    "dns": "the host name could not be resolved",
    "address_refused": "the address guard refused the URL or its address",
    "auth": "access could not be obtained, so nothing was sent",
    "redirect": "the answer was a redirect, which is not followed",
    "too_large": "the request or the answer exceeds a limit",
    "protocol": "the answer was not valid HTTP",
    "cancelled": "the hub was stopped while sending",
    "internal": "the hub itself failed while sending",
    "amqp_nack": "the broker refused to take the message",
    "amqp_unroutable": "no queue is bound for the message",
    "amqp_blocked": "the broker takes no messages for lack of memory or disk",
    "amqp_timeout": "the broker did not confirm in time",
    "amqp_login": "the broker refused user name, password or certificate",
    "amqp_vhost": "the virtual host is missing, or the user may not enter it",
    "amqp_exchange": "the exchange is missing or of another kind",
    "amqp_denied": "the user lacks a permission for the exchange",
    "amqp_channel": "the broker closed the channel because of an error",
    "amqp_protocol": "the answer was not AMQP 0-9-1",
    "amqp_library": "the library pika is not installed",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt, as the attempt log keeps it.

    Of ``status``, ``confirmed`` and ``error`` one is set; ``status`` and ``error`` both
    when an answer came which is a failure for another reason than its status
    (``redirect``, ``too_large``).

    :ivar status: HTTP status, ``None`` without an answer.
    :ivar error: a key of :data:`ERRORS`, ``None`` with a regular answer.
    :ivar headers: headers of the answer, as received but for what is no text.
    :ivar body: the first 64 KiB of the answer's body.
    :ivar truncated: whether the body was longer, or broke off.
    :ivar started_at: when the attempt began, Unix seconds.
    :ivar duration_ms: how long it took, milliseconds.
    :ivar remote_ip: the address connected to, ``None`` if there was none.
    :ivar phases: milliseconds by phase: ``connect`` (name, TCP, TLS), ``answer``,
        ``body``.
    :ivar detail: technical detail for the log, without secrets.
    :ivar confirmed: whether the receiver took the message in a protocol that has no
        status: an AMQP broker's publisher confirm.
    """

    status: int | None = None
    error: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    truncated: bool = False
    started_at: float = 0.0
    duration_ms: float = 0.0
    remote_ip: str | None = None
    phases: dict[str, float] = field(default_factory=dict)
    detail: str = ""
    confirmed: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the receiver took the message: a status in the 200s, or confirmed."""
        if self.error is not None:
            return False
        return self.confirmed or (self.status is not None and 200 <= self.status < 300)

    def header(self, name: str) -> str | None:
        """Return a header of the answer; the name is case-insensitive."""
        wanted = name.lower()
        return next(
            (value for key, value in self.headers.items() if key.lower() == wanted),
            None,
        )


def clean_text(text: str) -> str:
    """Return a text from outside as one that can be stored and shown.

    Bytes that are not UTF-8 come as lone surrogates, which no database takes; neither
    does it take a NUL.
    """
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def truncate_body(body: bytes) -> tuple[bytes, bool]:
    """Return what is kept of a body, and whether something was cut off."""
    return body[: const.BODY_KEPT_BYTES], len(body) > const.BODY_KEPT_BYTES
