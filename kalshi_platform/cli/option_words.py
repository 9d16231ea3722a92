"""Refusals of settings in the words of the command line: the option that was given, not the class's field.

``LoadConfig.url = 'x': why`` becomes ``--url 'x': why``, and a setting that no option of its own names
becomes ``--set train.gamma = 2: why``. The reasons are those of ``domain/config.py``.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.mistyped import meant

#: Option that takes any field of a model, by the model's class.
FREE: Final[Mapping[str, str]] = {
    "RunSettings": "--set",
    "ServerConfig": "--set",
    "TiersConfig": "--set",
    "GateConfig": "--gate",
    "SweepConfig": "--sweep",
}
_HEADING: Final = "settings refused:\n"
_LINE: Final = re.compile(r"^  (?P<model>\w+)\.(?P<field>[\w.]+) = (?P<value>.*?): (?P<why>.*)$")
_WHOLE: Final = re.compile(r"^  \w+: (?:Value error, )?")
#: Pydantic's words for a field that there is not.
_UNKNOWN: Final = "Extra inputs are not permitted"
#: Pydantic's words for a field that is not given.
_MISSING: Final = "Field required"
#: Pydantic's list of choices: "Input should be 'phases', 'difficulty' or 'none'".
_CHOICES: Final = re.compile(r"Input should be (?P<choices>'[^;\[]*')")


@contextmanager
def option_words(options: Mapping[str, str] | None = None) -> Iterator[None]:
    """Tell a refusal of settings in the block by options.

    ``options`` are those of single fields, such as ``{"RunSettings.curriculum.name": "--curriculum"}``.
    """
    try:
        yield
    except ContractError as err:
        heading, found, lines = str(err).partition(_HEADING)
        if type(err) is not ContractError or heading or not found:
            raise
        told = [_in_options(line, options or {}) for line in lines.split("\n")]
        raise ContractError("\n".join(told).strip()) from None


def _in_options(line: str, options: Mapping[str, str]) -> str:
    found = _LINE.match(line)
    if found is None:  # fields that do not go together: the reason names them
        return _WHOLE.sub("", line)
    model, field, value, why = found["model"], found["field"], found["value"], found["why"]
    why = why.replace("Value error, ", "")
    if listed := _CHOICES.search(why):
        choices = re.findall(r"'([^']*)'", listed["choices"])
        why = f"expected {', '.join(choices)}{meant(value.strip(chr(39)), choices)}"
    elif "; allowed: " in why and why.startswith("Input should be "):
        why = f"allowed: {why.partition('; allowed: ')[2]}"
    if why.startswith(_UNKNOWN):
        value, why = "", f"there is no such setting{why.removeprefix(_UNKNOWN)}"
    option = options.get(f"{model}.{field}")
    if why.startswith(_MISSING):  # the value that is told is the whole, in which the field is not
        own = f"{FREE[model]} {field}" if model in FREE else f"{model}.{field}"
        return f"{option or own} is missing{why.removeprefix(_MISSING)}"
    if option:
        return f"{option} {value}: {why}"
    if model in FREE:
        return f"{FREE[model]} {field}{f'={value}' if value else ''}: {why}"
    return f"{model}.{field} = {value}: {why}"
