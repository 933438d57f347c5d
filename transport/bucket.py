# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Token bucket: how many messages may go now at a limited rate. Pure functions."""


def take(
    tokens: float, elapsed: float, rate: float, burst: float, wanted: int
) -> tuple[int, float]:
    """Return (granted, tokens left).

    :param tokens: what was left when it was last asked; less than 0 is a debt.
    :param elapsed: seconds since then; a clock that went back counts as none.
    :param rate: tokens per second, more than 0.
    :param burst: most tokens that gather, at least 1.
    :param wanted: how many messages are to go.
    """
    full = max(float(burst), 1.0)
    available = min(full, tokens + max(elapsed, 0.0) * rate)
    granted = max(min(wanted, int(available)), 0)
    return granted, available - granted


def next_token(tokens: float, rate: float) -> float:
    """Return the seconds until there is a whole token."""
    return max(0.0, 1.0 - tokens) / rate
