"""The least that Flask can do: what a view costs before it does anything."""

from flask import Flask, Response, request


def application() -> Flask:
    """Build an application with a view that answers, and one that reads a body and returns it."""
    app = Flask("floor", static_folder=None)
    app.add_url_rule("/health/ready", view_func=empty)
    app.add_url_rule("/empty", view_func=empty)
    app.add_url_rule("/echo", view_func=echo, methods=["POST"])
    return app


def empty() -> Response:
    """Answer."""
    return Response(b"{}", content_type="application/json")


def echo() -> Response:
    """Answer with the bytes of the request."""
    return Response(request.get_data(), content_type="application/json")
