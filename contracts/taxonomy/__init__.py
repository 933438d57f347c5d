# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The exception taxonomy: one file for each class of exceptions."""

from . import business, control, data_quality, technical
from .base import SEVERITIES, ExceptionCode

__all__ = ["SEVERITIES", "TAXONOMY", "ExceptionCode"]

#: Every exception code by its name.
TAXONOMY: dict[str, ExceptionCode] = {
    entry.code: entry
    for klass in (technical, data_quality, business, control)
    for entry in klass.CODES
}
