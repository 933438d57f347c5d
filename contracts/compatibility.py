# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whether a published schema may change so: what its readers relied on still holds.

Those who read events may rely on every field that is there, on its type and on what
is required. They have to let fields pass which they do not know, so a new field is no
break.
"""

from typing import Any

from . import constants as const
from .classification import CLASSES, INTERNAL

# Keywords with a number; the direction in which a change lets more values pass.
_UPPER = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_LOWER = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
# Keywords of which any change lets other values pass, or means something else.
_FIXED = ("pattern", "format", "contentEncoding", "contentMediaType")


def incompatibilities(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return what a reader of the old schema could stumble over in the new one.

    Breaks are: a field that is gone, a type that changed or widened, a required field
    that may be absent, further values of a choice (unless it was published as open,
    ``x-open-choice``), another pattern, a wider limit, a lower classification, which
    would give masked values away.

    :param old: JSON Schema as it was published, with its ``$defs``.
    :param new: JSON Schema as it would be published.
    :return: sentences, each beginning with the field's path; empty when all is well.
    """
    return _Comparison(old, new).run()


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]):
        self.old = old
        self.new = new
        self.seen: set[tuple[str, str]] = set()

    def run(self) -> list[str]:
        return self._compare(self.old, self.new, "")

    def _compare(self, old: Any, new: Any, path: str) -> list[str]:
        pair = (str(_target(old)), str(_target(new)))
        if all(name != "None" for name in pair):
            if pair in self.seen:
                return []
            self.seen.add(pair)
        old, new = _resolved(old, self.old), _resolved(new, self.new)
        found = self._classification(old, new, path)
        if "anyOf" in old or "anyOf" in new:
            return found + self._options(old, new, path)
        return (
            found
            + _type_changes(old, new, path)
            + _value_changes(old, new, path)
            + self._properties(old, new, path)
            + self._parts(old, new, path)
        )

    def _classification(self, old, new, path) -> list[str]:
        before = old.get(const.CLASSIFICATION_KEYWORD, INTERNAL)
        after = new.get(const.CLASSIFICATION_KEYWORD, INTERNAL)
        if CLASSES.index(after) < CLASSES.index(before):
            return [f"{_name(path)}: it was {before} and would be {after}."]
        return []

    def _options(self, old, new, path) -> list[str]:
        """Every shape a value may have now has to be one it could have before."""
        found = []
        for option in new.get("anyOf", [new]):
            faults = [
                _Comparison(self.old, self.new)._compare(before, option, path)
                for before in old.get("anyOf", [old])
            ]
            if all(faults):
                found += min(faults, key=len)
        return found

    def _properties(self, old, new, path) -> list[str]:
        found = []
        after = new.get("properties", {})
        for name, before in old.get("properties", {}).items():
            inner = f"{path}.{name}" if path else name
            if name not in after:
                found.append(f"{inner}: it is gone.")
                continue
            if name in old.get("required", ()) and name not in new.get("required", ()):
                found.append(f"{inner}: it was required and would be optional.")
            found += self._compare(before, after[name], inner)
        return found

    def _parts(self, old, new, path) -> list[str]:
        found = []
        for keyword in ("items", "additionalProperties", "propertyNames"):
            before, after = old.get(keyword), new.get(keyword)
            if isinstance(before, dict) and isinstance(after, dict):
                found += self._compare(before, after, f"{path}[]")
            elif isinstance(before, dict) and keyword != "propertyNames":
                found.append(f"{_name(path)}: its elements could be anything.")
        return found


def _target(schema: Any) -> str | None:
    return schema.get("$ref") if isinstance(schema, dict) else None


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        # What stands beside a reference counts, too.
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def _name(path: str) -> str:
    return path or "(the whole)"


def _types(schema: dict[str, Any]) -> set[str]:
    kind = schema.get("type")
    if kind is None:
        return set()
    return set(kind) if isinstance(kind, list) else {kind}


def _type_changes(old, new, path) -> list[str]:
    before, after = _types(old), _types(new)
    if not before or (after and after <= before):
        return []
    told = " or ".join(sorted(after)) or "anything"
    return [f"{_name(path)}: it was {' or '.join(sorted(before))} and would be {told}."]


def _value_changes(old, new, path) -> list[str]:
    found = []
    choices = old.get("enum", [old["const"]] if "const" in old else None)
    if choices is not None and not old.get(const.OPEN_CHOICE_KEYWORD):
        after = new.get("enum", [new["const"]] if "const" in new else None)
        if after is None:
            found.append(f"{_name(path)}: it was one of a list and could be anything.")
        else:
            more = [str(value) for value in after if value not in choices]
            if more:
                found.append(f"{_name(path)}: it could also be {', '.join(more)}.")
    for keyword in _FIXED:
        if keyword in old and old[keyword] != new.get(keyword):
            found.append(f"{_name(path)}: its {keyword} would change.")
    for keywords, wider in ((_UPPER, lambda a, b: a > b), (_LOWER, lambda a, b: a < b)):
        for keyword in keywords:
            if keyword in old and (
                keyword not in new or wider(new[keyword], old[keyword])
            ):
                found.append(f"{_name(path)}: its {keyword} would let more pass.")
    return found
