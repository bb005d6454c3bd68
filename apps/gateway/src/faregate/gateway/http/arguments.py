"""Validated arguments of a controller method.

The path, the query and the body are each validated. People of role `user` may name only themselves.
"""

from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request

from faregate.core.errors import FaregateError, InvalidError, MalformedError, NotFoundError
from faregate.gateway.errors import ForbiddenError
from faregate.gateway.http.body import invalid, read_body, validate
from faregate.gateway.http.operation import Operation
from faregate.gateway.security.auth import Principal

__all__ = ["arguments_of"]


async def arguments_of(operation: Operation, request: Request, principal: Principal) -> dict[str, Any]:
    """Return the arguments of the method that answers `operation`.

    Raises:
        MalformedError, InvalidError, UnsupportedMediaTypeError, TooLargeError: a part of the request is wrong.
        NotFoundError, ForbiddenError: a person asks for the data of another user.
    """
    own = None if principal.may(operation.scope) else operation.own
    arguments = _path(operation, request)
    if own in arguments and arguments[own] != principal.user_id:
        raise NotFoundError("Not found, or not yours", param=own)
    if operation.query is not None:
        arguments["query"] = validate(operation.query, _query(operation.query, request, own, principal))
    elif operation.guarded and request.scope["query_string"] and request.query_params:
        raise _unknown(next(iter(request.query_params)), [])
    if operation.body is not None:
        arguments["body"] = await read_body(operation, request)
    return arguments


def _path(operation: Operation, request: Request) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for name, kind in operation.path_parameters.items():
        try:
            arguments[name] = TypeAdapter(kind).validate_python(request.path_params[name])
        except ValidationError as error:
            raise invalid(error, param=name) from None
        if "\x00" in str(arguments[name]):
            raise InvalidError(f"{name} contains a NUL character; remove it", param=name)
    return arguments


def _query(kind: type[BaseModel], request: Request, own: str | None, principal: Principal) -> dict[str, Any]:
    given: dict[str, Any] = {}
    known = [field.alias or name for name, field in kind.model_fields.items()]
    for name, value in request.query_params.multi_items():
        if name in given:
            raise InvalidError(f"{name} is given twice; give it once", param=name)
        if name not in known:
            raise _unknown(name, known)
        if "\x00" in value:
            raise MalformedError(f"{name} contains a NUL character; remove it", param=name)
        given[name] = value
    if own in known and given.setdefault(str(own), principal.user_id) != principal.user_id:
        raise ForbiddenError(f"{own} must be your own id, or left out: you may see your own data only")
    return given


def _unknown(name: str, known: list[str]) -> FaregateError:
    shown = name[:50].replace("\x00", "")
    choices = f"known: {', '.join(known)}" if known else "this call has no query parameters"
    return InvalidError(f"{shown!r} is not a query parameter of this call; {choices}", param=shown)
