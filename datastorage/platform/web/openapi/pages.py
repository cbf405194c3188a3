"""Where the API document is served: as JSON, and as a page to try requests on."""

from typing import Any, cast

from flask import Blueprint
from flask.sansio.blueprints import BlueprintSetupState
from flask_swagger_ui import get_swaggerui_blueprint

from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.openapi.document import document
from datastorage.platform.web.operations import Answer, Operation, operation
from datastorage.platform.web.routing import Routes

DOCUMENT_PATH = "/openapi.json"
PAGE_PATH = "/docs"

blueprint = Blueprint("openapi", __name__)


@blueprint.get(DOCUMENT_PATH)
@operation(Permission.NOTHING, answers=(Answer(dict, 200, None, "The document."),))
def openapi_json() -> dict[str, Any]:
    """Return the API document of this very application."""
    return document(current(Routes))


def swagger_ui() -> Blueprint:
    """Return the page at ``/docs``; its scripts come from the installed package, not from the internet."""
    # Without a validator: the page would otherwise ask a public one for a badge.
    config = {"deepLinking": True, "validatorUrl": "none"}
    ui = cast("Blueprint", get_swaggerui_blueprint(PAGE_PATH, DOCUMENT_PATH, config=config))

    @ui.record
    def open_to_all_and_without_slash(state: BlueprintSetupState) -> None:
        views, show = state.app.view_functions, f"{ui.name}.show"
        for name in [name for name in views if name.startswith(f"{ui.name}.")]:
            views[name] = Operation.of_flask_view(views[name], Permission.NOTHING)
        # The package knows "/docs/" only, and Flask would redirect there; this service never redirects.
        state.app.add_url_rule(PAGE_PATH, show)

    return ui
