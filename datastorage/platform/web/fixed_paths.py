"""A path that a route spells out is a resource of its own, even where a route with a variable fits too.

Werkzeug goes on to the next route when the first one has not the method: without this, GET on
``/events/batch`` would look for an event called "batch" instead of answering 405.
"""

from flask import Flask, Response, request
from werkzeug.exceptions import MethodNotAllowed


def init_app(app: Flask) -> None:
    """Hold requests to the methods of spelled-out paths; call it after every route is registered."""
    methods_of: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        if not rule.arguments:
            methods_of.setdefault(rule.rule, set()).update(rule.methods or ())

    @app.before_request
    def keep_to_its_methods() -> Response | None:
        methods = methods_of.get(request.path)
        if methods is None:
            return None
        if request.method not in methods:
            raise MethodNotAllowed(sorted(methods))
        if request.method == "OPTIONS":
            answer = Response()
            answer.allow.update(sorted(methods))
            return answer
        return None
