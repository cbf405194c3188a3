"""``datastorage serve``: the service, under gunicorn."""

import os

import click
from gunicorn.app.wsgiapp import WSGIApplication

GUNICORN_CONFIGURATION = "python:datastorage.gunicorn_conf"


@click.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Serve the API on server.port and metrics on server.metrics_port."""
    config_path = ctx.find_root().meta.get("config_path")
    if config_path is not None:
        os.environ["CONFIG_PATH"] = str(config_path)  # noqa: TID251 - gunicorn's configuration reads it
    Service().run()


class Service(WSGIApplication):
    """gunicorn as ``gunicorn -c`` would run it, in the interpreter that is already here."""

    def load_config(self) -> None:
        """Take every setting from our module; the command line was ours, not gunicorn's."""
        self.load_config_from_file(GUNICORN_CONFIGURATION)
        self.app_uri = self.cfg.wsgi_app
