"""Where the API document is served: as JSON, and as a page to try requests on."""

from typing import cast

from flask import Blueprint, Response
from flask.sansio.blueprints import BlueprintSetupState
from flask_swagger_ui import get_swaggerui_blueprint

from datastorage.platform.web import json
from datastorage.platform.web.current import current_app
from datastorage.platform.web.openapi.document import document

DOCUMENT_PATH = "/openapi.json"
PAGE_PATH = "/docs"

blueprint = Blueprint("openapi", __name__)


@blueprint.get(DOCUMENT_PATH)
def openapi_json() -> Response:
    """Return the API document of this very application."""
    return Response(json.encode(document(current_app())), mimetype="application/json")


def swagger_ui() -> Blueprint:
    """Return the page at ``/docs``; its scripts come from the installed package, not from the internet."""
    # Without a validator: the page would otherwise ask a public one for a badge.
    config = {"deepLinking": True, "validatorUrl": "none"}
    ui = cast("Blueprint", get_swaggerui_blueprint(PAGE_PATH, DOCUMENT_PATH, config=config))

    @ui.record
    def serve_without_slash(state: BlueprintSetupState) -> None:
        # The package knows "/docs/" only, and Flask would redirect there; this service never redirects.
        state.app.add_url_rule(PAGE_PATH, f"{ui.name}.show")

    return ui
