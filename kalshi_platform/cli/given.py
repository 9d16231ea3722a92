"""Options that somebody typed, and refusals of those that would be taken and then not looked at.

Invariant  an option that does nothing is refused: who gave it believes that it does something.
Not        values: a default that is typed counts as typed, except that of a switch: ``--no-deep`` alone
           changes nothing.
"""

from collections.abc import Collection
from typing import Any

from kalshi_platform.domain.errors import ContractError


def typed_options(context: Any, parameters: Collection[str] | None = None) -> list[str]:
    """Names of the options among ``parameters`` (None = all) that stand on the command line."""
    return [
        _long_name(context, parameter)
        for parameter in context.command.params
        if (parameters is None or parameter.name in parameters) and _is_typed(context, parameter)
    ]


def refuse_beside(context: Any, beside: str, why: str, *parameters: str) -> None:
    """Refuse typed ones of ``parameters`` which ``beside``, an option or its absence, leaves unread."""
    if given := typed_options(context, parameters):
        it = "it" if len(given) == 1 else "them"
        raise ContractError(f"{', '.join(given)} {beside}: {why}; leave {it} out")


def refuse_before(context: Any, name: str, command: Any) -> None:
    """Refuse options that stand before the subcommand ``name``, which does not see them; a usage error."""
    given = typed_options(context)
    if not given:
        return
    known = [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)]
    behind = [option for option in given if option in known]
    strange = [option for option in given if option not in known]
    words = [f"{_these(behind, 'belongs', 'belong')} behind `{name}`"] if behind else []
    them = "it" if len(strange) == 1 else "them"
    words += [f"`{name}` has no {' and no '.join(strange)}: leave {them} out"] if strange else []
    context.fail("; ".join(words))


def _these(options: list[str], one: str, several: str) -> str:
    return f"{' and '.join(options)} {one if len(options) == 1 else several}"


def _is_typed(context: Any, parameter: Any) -> bool:
    source = context.get_parameter_source(parameter.name)
    if source is None or source.name != "COMMANDLINE":
        return False
    is_switch = getattr(parameter, "is_flag", False) and parameter.secondary_opts
    return not is_switch or context.params.get(parameter.name) != parameter.get_default(context)


def _long_name(context: Any, parameter: Any) -> str:
    """Name of a parameter in a refusal; that of a switch's negative form where this one was typed."""
    if parameter.param_type_name == "argument":
        return str(parameter.human_readable_name)
    if parameter.secondary_opts and context.params.get(parameter.name) is False:
        return str(parameter.secondary_opts[0])
    names = [*parameter.opts, *parameter.secondary_opts]
    return str(next((name for name in names if name.startswith("--")), names[0]))
