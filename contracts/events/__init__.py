# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Outbound events: one file per object, brought together by the catalogue."""

from .catalogue import (
    EVENT_TYPES,
    choose_version,
    event_type,
    json_schema,
    mask_data,
    match,
    matching,
    newest,
    project,
    sample_event,
    validate_data,
    validate_pattern,
    validated_json,
    versions,
)
from .event_type import EventType

__all__ = [
    "EVENT_TYPES",
    "EventType",
    "choose_version",
    "event_type",
    "json_schema",
    "mask_data",
    "match",
    "matching",
    "newest",
    "project",
    "sample_event",
    "validate_data",
    "validate_pattern",
    "validated_json",
    "versions",
]
