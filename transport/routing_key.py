# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The routing key of an AMQP message, by which queues choose what they get.

A topic exchange compares the key word by word, words being separated by dots, so a
key that is the event type (``finance.invoice.posted.v1``) lets a reader bind
``finance.invoice.#`` or ``finance.*.paid.*``.
"""

import re

from . import constants as const

#: What may stand in braces.
ROUTING_KEY_FIELDS = ("type", "object", "verb", "version", "company")

_TEMPLATE = re.compile(r"(?:[A-Za-z0-9_.:-]|\{[a-z]+\})+")
_FIELD = re.compile(r"\{([a-z]+)\}")


def check_routing_key(template: str) -> str:
    """Return ``template`` as it is to be used; the empty one becomes the default.

    :raises ValueError: naming what is wrong and how it should look.
    """
    template = (template or "").strip() or const.ROUTING_KEY
    unknown = [f for f in _FIELD.findall(template) if f not in ROUTING_KEY_FIELDS]
    if unknown:
        raise ValueError(
            f"“{{{unknown[0]}}}” is not known. A routing key can hold "
            + ", ".join(f"{{{name}}}" for name in ROUTING_KEY_FIELDS)
            + "."
        )
    if not _TEMPLATE.fullmatch(template):
        raise ValueError(
            "A routing key is made of letters, digits, dots, dashes, colons, "
            "underscores and fields such as {type}."
        )
    if len(template) > const.SHORT_STRING_MAX_BYTES:
        raise ValueError(
            f"A routing key has at most {const.SHORT_STRING_MAX_BYTES} characters."
        )
    return template


def format_routing_key(template: str, event_type: str, company: int | str = "") -> str:
    """Return the routing key of one message.

    :param template: see :func:`check_routing_key`.
    :param event_type: such as ``finance.invoice.posted.v1``.
    :param company: identifies the legal entity.
    :raises ValueError: when the key would be longer than 255 bytes.
    """
    words = event_type.split(".")
    values = {
        "type": event_type,
        "object": words[1] if len(words) > 1 else "",
        "verb": words[2] if len(words) > 2 else "",
        "version": words[-1],
        "company": str(company),
    }
    key = _FIELD.sub(lambda found: values[found[1]], check_routing_key(template))
    if len(key.encode()) > const.SHORT_STRING_MAX_BYTES:
        raise ValueError(
            f"The routing key of {event_type} is longer than "
            f"{const.SHORT_STRING_MAX_BYTES} bytes. Shorten it on the endpoint."
        )
    return key
