"""Every wrong field of a body or message: its path, its value shortened, and what is allowed there.

Why        pydantic names all errors of a body at once or, told to fail fast, the first. All of them may be
           millions: four megabytes of ``{}`` took a minute and six gigabytes. The first alone makes a client
           mend and send again, field by field.
Way        models mark their lists and maps ``fail_fast``, so that a body is refused at its first error. Then
           this module walks down the same types and asks about one value at a time.
Invariant  at most MAX_COUNTED wrong fields are looked for, of which MAX_LISTED are told; at most MAX_ASKED
           values are asked about; no value is written out beyond MAX_SHOWN characters.
Not        the rules themselves: every one stands in the type of its field.
"""

import re
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.near import did_you_mean

#: Wrong fields that a refusal lists.
MAX_LISTED: Final = 20
#: Wrong fields after which the search ends: a refusal then says "at least".
MAX_COUNTED: Final = 200
#: Values asked about, right ones too: as many as any sensible body holds.
MAX_ASKED: Final = 50_000
#: Characters of a value that a refusal repeats.
MAX_SHOWN: Final = 60
_MAX_PATH: Final = 200
_MAX_DIGITS: Final = 18

_AnyModel = TypeVar("_AnyModel", bound=BaseModel)


class WrongField(NamedTuple):
    """One field that is wrong."""

    field: str  # dotted path; "" is the whole body
    value: str  # as sent, shortened; "" where it is missing
    allowed: str  # what may stand there, or what to do

    @property
    def words(self) -> str:
        """The wrong field in one sentence."""
        if not self.field:
            return self.allowed
        if not self.value:
            return f"{self.field} {self.allowed}" if self.allowed.startswith("is ") else self.allowed
        return f"{self.field} = {self.value}: {self.allowed}"


class WrongFields(NamedTuple):
    """Wrong fields of one body, in its order."""

    listed: tuple[WrongField, ...]  # at most MAX_LISTED
    n: int
    is_all: bool  # False: the search ended before the body did, there may be more

    @property
    def words(self) -> str:
        """The wrong fields in one sentence each, and how many more there are."""
        lines = [each.words for each in self.listed]
        if more := self.more_words:
            lines.append(more)
        return "; ".join(lines)

    @property
    def more_words(self) -> str:
        """Number of wrong fields that are not listed, in words; empty where all are."""
        more = self.n - len(self.listed)
        at_least = "" if self.is_all else "at least "
        return f"and {at_least}{more} more wrong fields" if more or not self.is_all else ""


def shortened(value: Any) -> str:
    """``value`` as a client wrote it, in at most about MAX_SHOWN characters; large ones are only named."""
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "[]"
    if isinstance(value, Mapping):
        return f"an object with {len(value)} field{'s' * (len(value) > 1)}" if value else "{}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
        return f"a whole number of more than {_MAX_DIGITS} digits"
    if isinstance(value, str) and len(value) > MAX_SHOWN:
        return f"{repr(value[:MAX_SHOWN])[: 4 * MAX_SHOWN]}... ({len(value)} characters)"
    return repr(value)[: 4 * MAX_SHOWN]


def parse_message(model: type[_AnyModel], value: Any, name: str) -> _AnyModel:
    """Read ``value`` as a ``model``; ContractError says of every wrong field of the message ``name`` why."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = wrong_fields(model, value, error)
        raise ContractError(bounded_message(f"the {name} message is refused: {found.words}")) from None


def wrong_fields(model: type[BaseModel], value: Any, error: ValidationError) -> WrongFields:
    """Every wrong field of ``value``, which ``model`` refuses with ``error``; bounded as the module says."""
    search = _Search()
    search.model(model, value, ())
    found = search.found
    if not found:  # refused as text, yet right as a value: one JSON number may be both
        first = error.errors(include_url=False)[0]
        found = [WrongField(".".join(map(str, first["loc"])), shortened(first["input"]), _allowed(first))]
    return WrongFields(tuple(found[:MAX_LISTED]), len(found), is_all=not search.ended)


class _Search:
    """The walk down one value; ``ended`` where a bound was met before the end."""

    def __init__(self) -> None:
        self.found: list[WrongField] = []
        self.ended = False
        self._asked = 0

    def model(self, model: type[BaseModel], value: Any, path: tuple[str, ...]) -> None:
        """Look for wrong fields of ``value`` as a ``model``."""
        before = len(self.found)
        if not isinstance(value, dict):
            self._add(path, value, "send an object of fields")
            return
        fields = model.model_fields
        strict = bool(model.model_config.get("strict"))
        for name, info in fields.items():
            if name in value:
                self.value(_field_type(model, name), value[name], (*path, name), strict)
            elif info.is_required():
                meaning = f": {info.description}" if info.description else ""
                self._add((*path, name), None, f"is missing{meaning}", is_missing=True)
        known = dict.fromkeys(fields, "")
        for name in value:
            if self.ended:
                return
            if name not in fields:
                near = did_you_mean(str(name)[:MAX_SHOWN], known) if len(self.found) < MAX_LISTED else ""
                self._add((*path, str(name)), value[name], f"there is no such field; {near}")
        if len(self.found) == before and not self.ended:  # a rule about several fields
            self._ask(_adapter(model), value, path, strict)

    def value(self, kind: Any, value: Any, path: tuple[str, ...], strict: bool) -> None:
        """Look for what is wrong with ``value`` as a ``kind``."""
        bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if get_origin(bare) in (Union, UnionType):
            member, before = _member(get_args(bare), value), len(self.found)
            if member is not None:
                self.value(member, value, path, strict)
            if len(self.found) == before and not self.ended:  # bounds may stand around the union
                self._ask(_adapter(kind), value, path, strict)
            return
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            if not _passes(_adapter(bare), value, strict):
                self.model(bare, value, path)
            return
        if get_origin(bare) in (list, tuple) and isinstance(value, list):
            self._items(kind, get_args(bare)[0], value, path, strict)
        elif get_origin(bare) is dict and isinstance(value, dict):
            key_kind, item_kind = get_args(bare)
            for key, item in value.items():
                if self.ended:
                    return
                self.value(key_kind, key, (*path, str(key)), strict)
                self.value(item_kind, item, (*path, str(key)), strict)
        else:
            self._ask(_adapter(kind), value, path, strict)

    def _items(
        self, kind: Any, item_kind: Any, values: list[Any], path: tuple[str, ...], strict: bool
    ) -> None:
        """Look at the members of a list from its first wrong one on."""
        try:
            _adapter(kind).validate_python(values, strict=strict or None)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
        else:
            return
        if not first["loc"]:  # of the list itself: too long, too short
            self._add(path, values, _allowed(first))
            return
        start = first["loc"][0]
        assert isinstance(start, int)
        for k in range(start, len(values)):
            if self.ended:
                return
            self.value(item_kind, values[k], (*path, str(k)), strict)

    def _ask(self, adapter: "TypeAdapter[Any]", value: Any, path: tuple[str, ...], strict: bool) -> None:
        self._asked += 1
        if self._asked > MAX_ASKED:
            self.ended = True
            return
        try:
            adapter.validate_python(value, strict=strict or None)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            first = errors[0]
            inner = tuple(str(part) for part in first["loc"] if isinstance(part, int))
            self._add((*path, *inner), first["input"], _allowed_by(errors))

    def _add(self, path: tuple[str, ...], value: Any, allowed: str, *, is_missing: bool = False) -> None:
        if len(self.found) >= MAX_COUNTED:
            self.ended = True
            return
        where = ".".join(part if len(part) <= MAX_SHOWN else part[:MAX_SHOWN] + "..." for part in path)
        self.found.append(WrongField(where[:_MAX_PATH], "" if is_missing else shortened(value), allowed))


@cache
def _field_type(model: type[BaseModel], name: str) -> Any:
    info = model.model_fields[name]
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


#: Validators by the id of their type, beside the type: it must live as long as its id stands here.
_ADAPTERS: Final[dict[int, tuple[Any, "TypeAdapter[Any]"]]] = {}


def _adapter(kind: Any) -> "TypeAdapter[Any]":
    """Validator of a type; the types of models are few and live as long as the program."""
    kept = _ADAPTERS.get(id(kind))
    if kept is None:
        kept = _ADAPTERS[id(kind)] = kind, TypeAdapter(kind)
    return kept[1]


def _passes(adapter: "TypeAdapter[Any]", value: Any, strict: bool) -> bool:
    try:
        adapter.validate_python(value, strict=strict or None)
    except ValidationError:
        return False
    return True


def _member(members: tuple[Any, ...], value: Any) -> Any:
    """Member of a union that ``value`` is meant as, by the kind of JSON it is; None where that is unclear."""
    if value is None:
        return NoneType if NoneType in members else None
    wanted: tuple[Any, ...]
    if isinstance(value, list):
        wanted = (list, tuple)
    elif isinstance(value, dict):
        wanted = (dict,)
    elif isinstance(value, str):
        wanted = (str,)
    else:
        wanted = ()
    meant, others = [], []
    for member in members:
        bare = get_args(member)[0] if get_origin(member) is Annotated else member
        if bare is NoneType:
            continue
        others.append(member)
        is_object = isinstance(bare, type) and issubclass(bare, BaseModel) and isinstance(value, dict)
        if is_object or bare in wanted or get_origin(bare) in wanted:
            meant.append(member)
    if len(meant) == 1:
        return meant[0]
    return others[0] if len(others) == 1 else None


_WORDS: Final[dict[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field: leave it out",
    "json_invalid": "is not JSON",
    "finite_number": "send a finite number",
    "string_type": "send text",
    "bool_type": "send true or false",
    "bool_parsing": "send true or false",
    "list_type": "send a list",
    "tuple_type": "send a list",
    "dict_type": "send an object",
    "model_type": "send an object of fields",
    "none_required": "send null",
    "string_too_short": "send text of length {min_length} or more",
    "string_too_long": "send text of length {max_length} or less",
    "string_pattern_mismatch": "send text that matches {pattern}",
    "too_short": "send a list of at least {min_length}",
    "too_long": "send a list of at most {max_length}",
    "greater_than": "send more than {gt}",
    "greater_than_equal": "send at least {ge}",
    "less_than": "send less than {lt}",
    "less_than_equal": "send at most {le}",
    "literal_error": "send one of {expected}",
    "enum": "send one of {expected}",
}
#: A pattern that only says which characters a name is made of.
_CHARACTERS: Final = re.compile(r"\^\[A-Za-z0-9(?P<others>[^\]]*)\]\+\$")
_STARTS: Final = (("float_", "send a number"), ("int_", "send a whole number"))


def _allowed_by(errors: list[ErrorDetails]) -> str:
    """Words for what is allowed where each member of a union found one of ``errors``."""
    choices = [error.get("ctx", {}).get("expected") for error in errors]
    if len(errors) > 1 and all(choices):
        return f"send one of {', '.join(str(choice).replace(' or ', ', ') for choice in choices)}"
    return _allowed(errors[0])


def _allowed(error: ErrorDetails) -> str:
    """Words for what is allowed where pydantic found ``error``."""
    kind, told = error["type"], error.get("ctx", {})
    context = {name: f"{value:g}" if isinstance(value, float) else value for name, value in told.items()}
    if kind == "string_pattern_mismatch" and (found := _CHARACTERS.fullmatch(context["pattern"])):
        return f"send letters, digits and {' '.join(found['others'])} only"
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    if kind == "value_error":
        return str(context.get("error", error["msg"]))[: 8 * MAX_SHOWN]
    words = next((text for start, text in _STARTS if kind.startswith(start)), None)
    return words or error["msg"].replace("Input should be", "send")
