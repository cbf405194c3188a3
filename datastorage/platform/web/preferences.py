"""The header ``Prefer`` (RFC 7240): what a client would like, and nobody has to do."""


def preference(header: str, name: str) -> str | None:
    """Return the value of the first preference of a name, empty without one, ``None`` if it is not there."""
    for each in header.split(","):
        found, _, value = each.partition(";")[0].partition("=")
        if found.strip().lower() == name:
            return value.strip().strip('"')
    return None
