"""Names searched for in texts that also hold random ids."""

import re

__all__ = ["mentions"]

_ID = re.compile(r"[0-9a-f-]{16,}")


def mentions(text: str | bytes, name: str) -> bool:
    """Tell whether `text` holds `name` outside of ids and hashes: "ada" in the id "01a229eb-adac-…" names nobody."""
    return name in _ID.sub("", text if isinstance(text, str) else text.decode())
