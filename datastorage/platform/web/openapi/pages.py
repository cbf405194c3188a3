"""Where the API document is served: as JSON, and as a page to try requests on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import flask_swagger_ui
from flask import Blueprint, Response, send_from_directory

from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.html import HTML, POLICY_HEADER, POLICY_WITH_STYLES
from datastorage.platform.web.openapi.document import document
from datastorage.platform.web.operations import Answer, Operation, operation
from datastorage.platform.web.routing import Routes

DOCUMENT_PATH = "/openapi.json"
PAGE_PATH = "/docs"

_OURS: Final = Path(__file__).with_name("page")
_SWAGGER_UI: Final = Path(flask_swagger_ui.__file__).with_name("dist")
"""Swagger UI, of the installed package and not of the internet; its own page has a script inside."""

blueprint = Blueprint("openapi", __name__)


@dataclass(frozen=True, slots=True)
class PageFile:
    """A part of the page that is ours."""

    content: bytes


@blueprint.get(DOCUMENT_PATH)
@operation(Permission.NOTHING, answers=(Answer(dict, 200, None, "The document."),))
def openapi_json() -> dict[str, Any]:
    """Return the API document of this very application."""
    return document(current(Routes))


def _answer(media_type: str, **headers: str) -> Answer:
    return Answer(
        PageFile,
        200,
        None,
        "The file.",
        media_type=media_type,
        body=lambda file: file.content,
        headers=lambda _: headers,
    )


# With and without slash: this service never redirects.
@blueprint.get(PAGE_PATH)
@blueprint.get(f"{PAGE_PATH}/")
@operation(Permission.NOTHING, answers=(_answer(HTML, **{POLICY_HEADER: POLICY_WITH_STYLES}),))
def page() -> PageFile:
    """Return the page on which the document can be browsed and tried."""
    return PageFile((_OURS / "index.html").read_bytes())


@blueprint.get(f"{PAGE_PATH}/initializer.js")
@operation(Permission.NOTHING, answers=(_answer("text/javascript; charset=utf-8"),))
def initializer() -> PageFile:
    """Return the script that opens the document in the page."""
    return PageFile((_OURS / "initializer.js").read_bytes())


def _file_of_swagger_ui(path: str) -> Response:
    """Return a file of the package."""
    return send_from_directory(_SWAGGER_UI, path)


blueprint.add_url_rule(
    f"{PAGE_PATH}/<path:path>",
    "swagger_ui",
    Operation.of_flask_view(_file_of_swagger_ui, Permission.NOTHING),
)
