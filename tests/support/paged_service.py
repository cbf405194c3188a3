"""``datastorage serve`` with a page under ``/console``, which forms may change."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint

from datastorage import __main__, routes
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.sessions import Sessions
from datastorage.platform.web.current import current
from datastorage.platform.web.forms import Form
from datastorage.platform.web.html import HTML
from datastorage.platform.web.operations import Answer, operation
from datastorage.platform.web.requests import Request
from tests.support.service import ServiceProcess

PAGE = "/console/paper"
blueprint = Blueprint("paper", __name__, url_prefix=PAGE)


class PagedService(ServiceProcess):
    """This module as a process."""

    arguments = ("-m", __name__, "serve")

    def __init__(self, directory: Path, *servers: str, **settings: str) -> None:
        super().__init__(directory, *servers, **settings)
        # The Prometheus client, which this module imports, decides then whether processes share metrics.
        self.set_variables({"PROMETHEUS_MULTIPROC_DIR": str(directory / "runtime" / "metrics")})


@dataclass(frozen=True)
class Paper:
    """A page with a form."""

    html: bytes


@dataclass(frozen=True)
class Written:
    """What the form has changed."""


class PaperForm(Form):
    """Reads the form."""

    resource = "paper"
    field_names = frozenset({"csrf"})

    def read(self, data: Mapping[str, str]) -> None:
        """Return nothing."""
        del data


SHOWN = Answer(Paper, 200, None, "The page.", media_type=HTML, body=lambda paper: paper.html)
WRITTEN = Answer(
    Written, 303, None, "Done.", media_type=HTML, body=lambda _: b"", headers=lambda _: {"Location": PAGE}
)


@blueprint.get("")
@operation(Permission.READ, wants_request=True, answers=(SHOWN,))
def show(request: Request) -> Paper:
    """Show the form."""
    signature = current(Sessions).ticket(request.environ).signature
    return Paper(f'<form><input type="hidden" name="csrf" value="{signature}"></form>'.encode())


@blueprint.post("")
@operation(Permission.READ, body=PaperForm, answers=(WRITTEN,))
def write(_form: None) -> Written:
    """Change something."""
    return Written()


@blueprint.post("/admin")
@operation(Permission.ADMIN, body=PaperForm, answers=(WRITTEN,))
def manage(_form: None) -> Written:
    """Change what only admins may."""
    return Written()


if __name__ == "__main__":
    routes.BLUEPRINTS = (*routes.BLUEPRINTS, blueprint)
    __main__.main()
