"""Content as it is shown: masked for whoever lacks the role for confidential content.

Of a confidential or restricted connection only the shape is shown. Of all others the
fields that their contract marks as confidential are left out.
"""

import json

from ...contracts import EVENT_TYPES, mask_data
from .finance_connector import may_see_confidential
from .masking import masked


def shown_data(env, type_name, data):
    """Return the content of an event for whoever asks."""
    known = EVENT_TYPES.get(type_name)
    if may_see_confidential(env) or not isinstance(data, dict) or not data:
        return data
    if known is None or known.dataclass == "restricted":
        return masked(data)
    try:
        return mask_data(type_name, data, personal=False, confidential=True)
    except (TypeError, ValueError):
        # What breaks its contract can't be masked by it.
        return masked(data)


def shown_text(env, text, connector):
    """Return what was sent to or came back from a connection for whoever asks.

    :param str text: JSON, or anything else
    """
    if not text or may_see_confidential(env):
        return text
    concealed = connector._conceals() if connector else False
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        if concealed:
            return env._("This content is confidential, and hidden from you.")
        return text
    if concealed:
        return json.dumps(masked(content), indent=2, ensure_ascii=False)
    shown = _without_confidential(env, content)
    # As it is, with its blanks, where nothing is left out.
    if shown == content:
        return text
    return json.dumps(shown, ensure_ascii=False)


def _without_confidential(env, content):
    if isinstance(content, list):
        return [_without_confidential(env, item) for item in content]
    if isinstance(content, dict) and content.get("type") in EVENT_TYPES:
        data = shown_data(env, content["type"], content.get("data"))
        return {**content, "data": data}
    return content
