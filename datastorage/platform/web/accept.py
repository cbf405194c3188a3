"""The short way through a schema, for objects nothing is wrong with, compiled from the schema itself.

marshmallow finds every fault and says it in order, which costs several times what judging the values
does. So the fields of the same schema judge first, each with the very method marshmallow would call, and
its hooks are called in marshmallow's order, without marshmallow's machinery. At the first doubt this way
ends, and marshmallow begins from the start: only it explains, and there is no second set of rules.

    class PingSchema(QuickContract):
        name = fields.Text(required=True, maximum=20)

        @validates_schema
        def refuse_nobody(self, data, **_): ...   # enforced on either way

What this way cannot honour is refused when the schema is made, never at a request.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, missing, post_load
from marshmallow.decorators import POST_LOAD, PRE_LOAD, VALIDATES, VALIDATES_SCHEMA

from datastorage.platform.web.contract import Contract
from datastorage.platform.web.fields import Judged

Members = dict[str, Any]
Judge = Callable[[Any], Any]

_UNSUPPORTED_FLAGS: Final = ("pass_original", "pass_collection")


class QuickContract(Contract):
    """A contract that takes the short way first."""

    def __init__(self) -> None:
        super().__init__()
        self._accept = Accept(self)

    def faults_or_loaded(self, data: Members) -> Any:
        """Take the short way; what it does not accept is explained."""
        accepted = self._accept(data)
        return super().faults_or_loaded(data) if accepted is None else accepted


class PathContract(QuickContract):
    """The variable of a path that has one."""

    @post_load
    def take_out(self, data: Members, **_: Any) -> Any:
        """Return the value itself."""
        [value] = data.values()
        return value


class Accept:
    """Accepts what a schema would accept, with the same result, or leaves it to the schema.

    Args:
        schema: whose fields and hooks decide; bounds of its fields are read at every call.

    Raises:
        TypeError: a field or a hook of the schema would be treated otherwise here.
    """

    def __init__(self, schema: Schema) -> None:
        _require_plain(schema)
        fields = dict(_judged_fields(schema))
        self._judges: dict[str, Judge] = {name: field.judge for name, field in fields.items()}
        self._required = frozenset(name for name, field in fields.items() if field.required)
        self._absent: Members = dict.fromkeys(fields.keys() - self._required)
        self._before = tuple(_hooks(schema, PRE_LOAD))
        self._of_fields = tuple(_field_hooks(schema))
        self._of_all = tuple(_hooks(schema, VALIDATES_SCHEMA))
        self._after = tuple(_hooks(schema, POST_LOAD))

    def __call__(self, data: Mapping[str, Any]) -> Any | None:
        """Return what the schema makes of ``data``, or ``None`` when there may be something to explain."""
        members: Any = dict(data)  # a hook may change its argument, and marshmallow may yet begin anew
        try:
            for hook in self._before:
                members = hook(members)
            loaded: Any = self._judged(members)
            for hook in self._after:
                loaded = hook(loaded)
        except ValidationError:
            return None
        return loaded

    def _judged(self, members: Members) -> Members:
        judged = self._absent.copy()
        judges = self._judges
        for name, value in members.items():
            if value is not None and name in judges:
                judged[name] = judges[name](value)
        if not self._required <= judged.keys():
            raise ValidationError("a required field is missing")
        for name, check in self._of_fields:
            check(judged[name])
        for hook in self._of_all:
            hook(judged)
        return judged


def _require_plain(schema: Schema) -> None:
    """Refuse a schema that loads otherwise than field by field, ignoring what it does not know."""
    for name in ("load", "_do_load", "_deserialize"):
        if getattr(type(schema), name) is not getattr(Schema, name):
            raise TypeError(f"{type(schema).__name__} has a {name} of its own")
    if schema.unknown != EXCLUDE or schema.many or schema.partial:
        raise TypeError(f"{type(schema).__name__} does not load single objects with unknown members ignored")


def _judged_fields(schema: Schema) -> Iterator[tuple[str, Judged]]:
    for name, field in schema.load_fields.items():
        if not isinstance(field, Judged) or type(field).deserialize is not Judged.deserialize:
            raise TypeError(f"the field {name} cannot be judged on its own")
        is_renamed = field.data_key is not None or field.attribute is not None
        if is_renamed or field.validators or field.load_default not in (missing, None):
            raise TypeError(f"the field {name} has a name, a default or a validator beside its judge")
        yield name, field


def _hooks(schema: Schema, tag: str) -> Iterator[Judge]:
    """Yield the hooks of one kind in the order in which marshmallow calls them."""
    for name, is_for_collections, flags in schema._hooks[tag]:  # noqa: SLF001 - nothing public lists them
        if is_for_collections or any(flags.get(flag) for flag in _UNSUPPORTED_FLAGS):
            raise TypeError(f"the hook {name} asks for more than the object itself")
        yield _of_single_object(getattr(schema, name))


def _of_single_object(hook: Callable[..., Any]) -> Judge:
    """Return a call of ``hook`` with what marshmallow tells about a single object; cheaper than a partial."""
    return lambda members: hook(members, many=False, partial=None, unknown=EXCLUDE)


def _field_hooks(schema: Schema) -> Iterator[tuple[str, Judge]]:
    for hook, _, flags in schema._hooks[VALIDATES]:  # noqa: SLF001 - as above
        for name in flags["field_names"]:
            if name not in schema.load_fields:
                raise TypeError(f"the hook {hook} validates {name}, which is no field that is loaded")
            yield name, partial(getattr(schema, hook), data_key=name)
