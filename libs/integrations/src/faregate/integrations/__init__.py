"""Adapters that charge the calls of AI frameworks.

Each module is about one framework and imports it when it is imported: `faregate.integrations.litellm`, `.langchain`,
`.openai_agents`, `.pydantic_ai`, `.fastmcp`.
"""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.integrations.charging import CallCharging
    from faregate.integrations.interfaces import ICharges
    from faregate.integrations.receipts import receipt_of
else:
    __getattr__, __dir__ = lazy_exports(
        __name__, {"charging": ["CallCharging"], "interfaces": ["ICharges"], "receipts": ["receipt_of"]}
    )

__all__ = ["CallCharging", "ICharges", "receipt_of"]
