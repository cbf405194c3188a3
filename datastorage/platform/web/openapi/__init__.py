"""The API document, generated from routes and contracts: OpenAPI 3.1, and a page to browse it offline.

Every view carries a ``ViewContract``; this package turns the URL map and those contracts into
operations. Nothing is written twice, so the document cannot promise what the code does not do.
"""

from datastorage.platform.web.openapi.document import document
from datastorage.platform.web.openapi.pages import blueprint, swagger_ui

__all__ = ["blueprint", "document", "swagger_ui"]
