"""Names searched for in texts that also hold random ids."""

import re

__all__ = ["mentions"]


def mentions(text: str | bytes, name: str) -> bool:
    """Tell whether `text` holds `name` as a word: "ada" is also a part of the id "01a229eb-adac-…", which names nobody."""
    return re.search(rf"\b{re.escape(name)}\b", text if isinstance(text, str) else text.decode()) is not None
