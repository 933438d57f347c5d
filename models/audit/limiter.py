"""Keeps a flood of refused attempts from filling the disk."""

from . import constants


class Limiter:
    """Lets a few of the same through in each interval, and counts the rest."""

    def __init__(self):
        self._seen = {}

    def take(self, key, now):
        """Return (whether this one is to be kept, how many before it were not).

        :param datetime now: aware
        """
        began, kept, suppressed = self._seen.get(key, (now, 0, 0))
        if now - began >= constants.REFUSALS_INTERVAL:
            began, kept = now, 0
        if kept >= constants.REFUSALS_KEPT:
            self._seen[key] = (began, kept, suppressed + 1)
            return False, suppressed + 1
        if len(self._seen) >= constants.REFUSALS_REMEMBERED and key not in self._seen:
            self._seen.clear()
        self._seen[key] = (began, kept + 1, 0)
        return True, suppressed

    def forget(self):
        """Begin anew."""
        self._seen.clear()
