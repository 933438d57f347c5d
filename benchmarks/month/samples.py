"""Sends files of real providers and banks, and lists what became of each."""

from pathlib import Path

from shop import Delivery
from sites import API_KEY, KEY_HEADER, Bookkeeping, Connection

from hubtools.rpc import RpcError
from hubtools.system import Hub

#: Most of a file that is looked at to see what it is, in bytes.
HEAD = 4096


def send_samples(hub: Hub, books: Bookkeeping, folder: Path) -> None:
    """Send every file of a folder to a connector of its format.

    The signatures of real files were made with secrets that nobody here has: they are
    sent as what a colleague fetched, with an API key.
    """
    connections: dict[str, Connection] = {}
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if not path.is_file():
            continue
        body = path.read_bytes()
        known = _format(body[:HEAD])
        if known is None:
            print(f"  {path.relative_to(folder)}: no format the hub knows")
            continue
        adapter, content_type = known
        code = f"sample-{adapter.replace('_', '-')}-{number}"
        if adapter not in connections:
            try:
                books._connector(
                    code,
                    {"adapter": adapter},
                    [("api_key", API_KEY, {"inbound_header": KEY_HEADER})],
                    body,
                )
            except RpcError as error:
                print(f"  {path.relative_to(folder)}: {adapter}, {error}")
                continue
            connections[adapter] = Connection(hub.url, code)
        status = connections[adapter].send(Delivery(code, content_type, body))
        hub.wait_until(
            lambda: (
                not hub.value(
                    "SELECT count(*) FROM finance_message WHERE state = 'received'"
                )
            ),
            60,
        )
        print(f"  {path.relative_to(folder)}: {adapter}, {status}, {_outcome(hub)}")


def _format(head: bytes) -> tuple[str, str] | None:
    """Return (adapter, content type) of a file by its content."""
    text = head.decode("utf-8", "replace")
    if "camt.05" in text:
        return "camt", "application/xml"
    if "pain.002" in text:
        return "pain002", "application/xml"
    if "notificationItems" in text:
        return "adyen", "application/json"
    if text.lstrip().startswith("{") and '"events"' in text:
        return "gocardless", "application/json"
    if text.lstrip().startswith("{") and '"evt_' in text:
        return "stripe", "application/json"
    if "Psp Reference" in text and "Batch Number" in text:
        return "adyen_settlement", "text/csv"
    return None


def _outcome(hub: Hub) -> str:
    """What the last message became, in words."""
    (message,) = hub.sql(
        "SELECT id, state, error FROM finance_message ORDER BY id DESC LIMIT 1"
    )
    if message["state"] != "processed":
        return f"{message['state']}: {message['error']}"
    commands = hub.sql(
        "SELECT type, state, error_code, error FROM finance_command "
        "WHERE message_id = %s ORDER BY position",
        [message["id"]],
    )
    return "; ".join(
        f"{row['type']} {row['state']}"
        + (f" ({row['error_code'] or row['error']})" if row["error"] else "")
        for row in commands[:6]
    )
