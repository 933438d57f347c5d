"""What is shown of a content to people who must not see it."""

MASK = "****"


def masked(value):
    """Return JSON with its shape, and nothing of what it says."""
    if isinstance(value, dict):
        return {name: masked(child) for name, child in value.items()}
    if isinstance(value, list):
        return [masked(child) for child in value]
    return value if value is None or isinstance(value, bool) else MASK
