"""From method and path to an operation that is ready to run: its readers found, its answers filed by outcome.

Flask's URL map is the only list of routes. It is read once, when every blueprint is registered; from then on
a path that a rule spells out is found in a dictionary, others by Werkzeug. A path that is spelled out is a
resource of its own, even where a rule with a variable fits too: ``GET /events/batch`` is 405, not an event.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from flask import Flask
from werkzeug import exceptions
from werkzeug.routing import Rule

from datastorage.errors import MethodNotAllowed, NotFound
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.sessions import is_of_console
from datastorage.platform.request_class import RequestClass
from datastorage.platform.web.forms import Form
from datastorage.platform.web.media_types import FORM, JSON, BodyType
from datastorage.platform.web.operations import Answer, Operation
from datastorage.platform.web.readers import BodyReader, PathReader, QueryReader

_VARIABLE = re.compile(r"<[^>]+>")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class RouteError(RuntimeError):
    """A route cannot work as it is declared; the service does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation under one rule, with everything that a request would otherwise look for.

    Attributes:
        operation: what to carry out.
        name: what Flask calls it, ``<blueprint>.<view>``.
        methods: by which it is asked for.
        rule: as it was registered.
        template: the rule with its variables named alike, as metrics call it.
        path: reads the variables of the path, if the operation wants them.
        query: reads the query parameters, likewise.
        body: reads the body, likewise.
        body_type: what the body has to be.
        answer_of: how each type of outcome is sent.
    """

    operation: Operation
    name: str
    methods: frozenset[str]
    rule: str
    template: str
    path: PathReader | None
    query: QueryReader | None
    body: BodyReader | None
    body_type: BodyType
    answer_of: Mapping[type, Answer]

    @classmethod
    def bind(cls, view: object, rule: Rule, services: Mapping[type, Any]) -> Self:
        """Return the endpoint of a view; a reader that is not among ``services`` is made without arguments.

        Raises:
            RouteError: it is no operation, so nothing says who may call it; a reader needs arguments and is
                not among ``services``; two answers have the same type of outcome; a page takes something else
                than a form.
        """
        if not isinstance(view, Operation):
            raise RouteError(f"route without permission: {rule.rule}")
        answer_of = {answer.outcome: answer for answer in view.answers}
        if len(answer_of) != len(view.answers):
            raise RouteError(f"route with two answers for one type of outcome: {rule.rule}")

        def reader(wanted: type | None, kind: type) -> Any:
            if wanted is None:
                return None
            found = services[wanted] if wanted in services else _made(wanted, rule)
            if not isinstance(found, kind):
                raise RouteError(f"route with a wrong reader: {wanted.__name__} is no {kind.__name__}")
            return found

        body = reader(view.body, BodyReader)
        _require_form_of_pages(rule, body)
        return cls(
            operation=view,
            name=rule.endpoint,
            methods=frozenset(rule.methods or ()),
            rule=rule.rule,
            template=_VARIABLE.sub(":id", rule.rule),
            path=reader(view.path, PathReader),
            query=reader(view.query, QueryReader),
            body=body,
            body_type=FORM if isinstance(body, Form) else JSON,
            answer_of=answer_of,
        )

    @property
    def field_names(self) -> frozenset[str]:
        """The names of all fields that a request may have."""
        readers = (each for each in (self.path, self.query, self.body) if each is not None)
        return frozenset().union(*(reader.field_names for reader in readers))


def _require_form_of_pages(rule: Rule, body: BodyReader | None) -> None:
    """Let every change by a page come in a form, for forms are what is checked against other sites.

    Raises:
        RouteError: it does not, or a form is sent to something else than a page.
    """
    changes = is_of_console(rule.rule) and not _READING.issuperset(rule.methods or ())
    if changes != isinstance(body, Form):
        raise RouteError(f"route of a page without a form, or form without a page: {rule.rule}")


def _made(reader: type, rule: Rule) -> Any:
    """Return a reader that the wiring does not have, because it needs nothing of it."""
    try:
        return reader()
    except TypeError as error:
        needed = f"{rule.rule} needs {reader.__name__} in the wiring"
        raise RouteError(f"route without its reader: {needed}") from error


class Routes:
    """Every endpoint of one application.

    Raises:
        RouteError: a route cannot work.
    """

    def __init__(self, app: Flask, services: Mapping[type, Any]) -> None:
        self._adapter = app.url_map.bind("")
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._spelled_out: dict[str, dict[str, Endpoint]] = {}
        for rule in app.url_map.iter_rules():
            endpoint = Endpoint.bind(app.view_functions[rule.endpoint], rule, services)
            self._endpoints[_key(rule)] = endpoint
            if not rule.arguments:
                by_method = self._spelled_out.setdefault(rule.rule, {})
                by_method.update(dict.fromkeys(rule.methods or (), endpoint))
        self._class_of_method = self._classes_by_method()
        everything = _everything(frozenset().union(*(each.methods for each in self)))
        self._spelled_out[everything.rule] = dict.fromkeys(everything.methods, everything)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints.values())

    @property
    def field_names(self) -> frozenset[str]:
        """The names of all fields that a request may have."""
        return frozenset().union(*(endpoint.field_names for endpoint in self))

    def find(self, method: str, path: str) -> tuple[Endpoint, Mapping[str, Any]]:
        """Return the endpoint and the variables of the path.

        Raises:
            NotFound: no rule fits.
            MethodNotAllowed: one fits, with other methods.
        """
        by_method = self._spelled_out.get(path)
        if by_method is None and path.startswith("//"):
            raise NotFound(f"no route for {path}")  # Werkzeug would take it for one slash
        if by_method is not None:
            if method not in by_method:
                raise MethodNotAllowed(method, path, sorted(by_method))
            return by_method[method], {}
        try:
            rule, variables = self._adapter.match(path, method, return_rule=True)
        except exceptions.MethodNotAllowed as error:
            raise MethodNotAllowed(method, path, sorted(error.valid_methods or ())) from error
        except exceptions.NotFound as error:
            raise NotFound(f"no route for {path}") from error
        return self._endpoints[_key(rule)], variables

    def request_class(self, method: str, path: str) -> RequestClass:
        """Return the class of a request before anything else is known about it."""
        by_method = self._class_of_method.get(method)
        if by_method is not None:
            return by_method
        try:
            endpoint, _ = self.find(method, path)
        except (NotFound, MethodNotAllowed):
            return RequestClass.READ
        return endpoint.operation.permission.request_class

    def _classes_by_method(self) -> dict[str, RequestClass]:
        """Return the class of each method whose operations all have the same: no look-up is needed."""
        found: dict[str, set[RequestClass]] = {}
        for endpoint in self:
            for method in endpoint.methods:
                found.setdefault(method, set()).add(endpoint.operation.permission.request_class)
        alike = {method: classes.pop() for method, classes in found.items() if len(classes) == 1}
        return alike | {"OPTIONS": RequestClass.READ}

    def methods_of(self, path: str) -> list[str]:
        """Return the methods that a path has."""
        by_method = self._spelled_out.get(path)
        return sorted(self._adapter.allowed_methods(path) if by_method is None else by_method)


def _everything(methods: frozenset[str]) -> Endpoint:
    """Return what ``OPTIONS *`` asks about, the service as a whole; other methods cannot be sent to it."""
    rule = "*"

    def no_resource() -> NoReturn:
        raise NotFound(f"no route for {rule}")

    return Endpoint(
        operation=Operation(act=no_resource, permission=Permission.NOTHING),
        name="everything",
        methods=methods,
        rule=rule,
        template=rule,
        path=None,
        query=None,
        body=None,
        body_type=JSON,
        answer_of={},
    )


def _key(rule: Rule) -> tuple[str, str]:
    return rule.endpoint, rule.rule
