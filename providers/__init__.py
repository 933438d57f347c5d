# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bytes of one provider to commands: a file each, or a few that bear its name."""

from .base import Adapter, ParsedCommand, Reply
from .catalogue import ADAPTERS

__all__ = ["ADAPTERS", "Adapter", "ParsedCommand", "Reply"]
