"""Is a call of a shape that can be worked on? Pure functions."""

from itertools import accumulate

_OPEN, _CLOSE = b"[{", b"]}"
_STEPS = {**dict.fromkeys(_OPEN, 1), **dict.fromkeys(_CLOSE, -1)}
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEPS)


def is_deeper(body, limit):
    """Return whether a JSON text is nested deeper than ``limit``.

    Reads no more than brackets and quotes, in time that grows with the length only,
    and without recursion: for bytes that nobody has looked at yet.
    """
    # Most are small: so few brackets can't be that deep.
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Every other piece between quotes is outside of strings.
    outside = b"".join(unescaped.split(b'"')[::2])
    brackets = outside.translate(None, _NO_BRACKETS)
    return any(depth > limit for depth in accumulate(map(_STEPS.get, brackets)))


def header_fault(headers, most, most_bytes):
    """Return what is wrong with the headers of a call, None if nothing is.

    :param headers: mapping or list of pairs
    """
    pairs = list(headers.items()) if hasattr(headers, "items") else list(headers)
    if len(pairs) > most:
        return f"A call may have {most} headers at most."
    if sum(len(name) + len(value) for name, value in pairs) > most_bytes:
        return f"The headers of a call may have {most_bytes} bytes at most."
    return None
