"""The API document, generated from the operations: OpenAPI 3.1, and a page to browse it offline.

This package describes the very values that the door carries out. Nothing is written twice, so the document
cannot promise what the code does not do.
"""

from datastorage.platform.web.openapi.document import document
from datastorage.platform.web.openapi.pages import blueprint

__all__ = ["blueprint", "document"]
