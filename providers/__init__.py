# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bytes of one provider to commands: one file each."""

from .base import Adapter, ParsedCommand, Reply
from .catalogue import ADAPTERS

__all__ = ["ADAPTERS", "Adapter", "ParsedCommand", "Reply"]
