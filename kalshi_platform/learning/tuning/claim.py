"""The claim of a sweep's place: plan.json, created there once, says which sweep it holds.

Claim      one conditional write: of two drivers that begin at once, one gets the place. A store that does not
           honour such writes is refused. The claim's token names the sweep wherever names may repeat.
Identity   everything that decides which trials there are and what they compute: experiment, dataset, feature
           table, settings, searched space. Another sweep is refused with what differs, the same without
           --resume.
Driver     one at a time: a lease in a storage (``storage/lease.py``), a lock in a folder of this machine.
"""

import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.saying import Say, note
from kalshi_platform.learning.tuning.same_program import program_facts
from kalshi_platform.learning.tuning.sweep_record import RUN_FOLDERS
from kalshi_platform.learning.tuning.sweep_store import (
    PLAN_FILE,
    SweepStore,
    cache_name,
    require_cache_place,
    sweeps_folder,
)
from kalshi_platform.storage import locks
from kalshi_platform.storage.lease import leased
from kalshi_platform.storage.storage import Storage, open_storage
from kalshi_platform.storage.whole_file import write_whole

CLAIM: Final = "claim"
_DRIVER: Final = "driver"
#: One name for each process: of two that ask at once neither may meet the other's.
_PROBE: Final = "driver/conditional-write"
#: A dataset's, in which a sweep must not begin.
_MANIFEST: Final = "manifest.json"
#: A local driver that was killed has let its lock go; one that is just ending needs a moment.
_LOCAL_PATIENCE_S: Final = 5.0


@contextmanager
def claimed(
    name: str, plan: Mapping[str, Any], out: Path | None, uri: str, *, resume: bool, say: Say
) -> Iterator[SweepStore]:
    """The store of the sweep ``plan`` for the block, driven by this process alone.

    ``uri`` is its storage; where it is empty, the folder ``out``. Without ``out`` a cache of the storage is
    made in this machine's home. ContractError where the place holds another sweep, or this one without
    ``resume``, or where another driver lives; StorageError where the place cannot be written as a claim must.
    """
    place = open_storage(uri or out or sweeps_folder() / name)
    if uri and out is not None:
        require_cache_place(out.absolute(), place.uri)
    token = take_claim(place, plan, resume=resume, option="--storage" if uri else "--out", say=say)
    if not uri:
        folder = Path(place.uri)
        with locks.writing(folder, _LOCAL_PATIENCE_S, f"the sweep in {folder}"):
            yield SweepStore(folder, claim=token)
        return
    cache = out or sweeps_folder() / cache_name(name, place.uri, token)
    with leased(place, _DRIVER, refuse_living=True) as lease:
        store = SweepStore(
            cache, place.uri, token, chosen_by_user=out is not None, still_driven=lease.require
        )
        note(say)(f"the sweep lies in {place.uri}; copies on this machine: {cache}")
        write_whole(store.out / PLAN_FILE, bytes(place.read_bytes(PLAN_FILE)))
        store.fetch()
        yield store


def take_claim(place: Storage, plan: Mapping[str, Any], *, resume: bool, option: str, say: Say) -> str:
    """Claim ``place`` for the sweep ``plan``, or find it claimed by the same; returns the claim's token.

    ``option`` is the one that names the place, for the refusals.
    """
    asked = json_value(json_text(plan))
    found = _claim_in(place)
    if found is None:
        if resume:
            raise ContractError(f"{place.uri} holds no sweep to resume: leave out --resume")
        _require_empty(place, option)
        require_conditional_writes(place)
        mine = {"token": uuid.uuid4().hex[:12], "by": socket.gethostname(), "program": program_facts(),
                "at": datetime.now(UTC).isoformat(timespec="seconds")}  # fmt: skip
        text = json_text({**asked, CLAIM: mine}, indent=1) + "\n"
        if place.create_exclusive(PLAN_FILE, text.encode()):
            return str(mine["token"])
        found = _claim_in(place) or {}
        if found.get(CLAIM) == mine:  # the answer to the first try was lost, its repetition found our own
            return str(mine["token"])
    return _same_claim(place, found, asked, resume=resume, option=option, say=say)


def _same_claim(
    place: Storage,
    found: Mapping[str, Any],
    asked: Mapping[str, Any],
    *,
    resume: bool,
    option: str,
    say: Say,
) -> str:
    """Token of the claim ``found`` where it is that of the sweep ``asked``; else ContractError."""
    claim = found.get(CLAIM)
    if not isinstance(claim, dict):
        raise ContractError(
            f"{place.uri} holds a sweep of an earlier version of this program, which named its trials "
            f"otherwise: finish it with that version, or name another {option}"
        )
    if differs := differences(found, asked):
        told = "; ".join(differs[:8]) + (f"; and {len(differs) - 8} more" if len(differs) > 8 else "")
        raise ContractError(
            f"{place.uri} was begun with another {told}: name another {option}, or continue that sweep with "
            "its own options and --resume"
        )
    if not resume:
        raise ContractError(f"{place.uri} holds a sweep: continue it with --resume or name another {option}")
    program = claim.get("program", {})
    if not isinstance(claim.get("token"), str) or not isinstance(program, dict):
        raise _no_plan(place)
    if changed := differences(program, program_facts()):
        note(say)(
            f"warning: the program has changed since the sweep began ({'; '.join(changed)}): trials that "
            "ended keep the results of the earlier one"
        )
    return claim["token"]


def differences(was: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Parts of ``asked`` that differ in ``was``, each as "name: before -> now"; settings by dotted name."""
    before, now = _flat(was), _flat(asked)
    names = [name for name in dict.fromkeys([*now, *before]) if name.partition(".")[0] in asked]
    return [
        f"{name}: {_shown(before, name)} -> {_shown(now, name)}"
        for name in names
        if name not in before or name not in now or before[name] != now[name]
    ]


def require_conditional_writes(place: Storage) -> None:
    """Refuse a store that cannot say "only if nobody else has written"; StorageError names it.

    A plain write comes first: where that fails, the store's own words (keys, bucket, disk) are the reason.
    """
    name = uuid.uuid4().hex
    probe, token = f"{_PROBE}-{name}", name.encode()
    place.write_bytes_atomic(probe, token)
    try:
        honoured = not place.create_exclusive(probe, b"") and bytes(place.read_bytes(probe)) == token
    except StorageError as err:
        raise StorageError(
            f"{place.uri} refuses conditional writes (If-None-Match), by which one sweep claims a place "
            f"({err}): use AWS S3, MinIO or another store that has them, or a folder"
        ) from None
    finally:
        place.delete(probe)
    if not honoured:
        raise StorageError(
            f"{place.uri} ignores conditional writes (If-None-Match): two sweeps could take one place; use "
            "AWS S3, MinIO or another store that honours them, or a folder"
        )


def _claim_in(place: Storage) -> dict[str, Any] | None:
    """Content of the plan in ``place``; None where it holds none, DataError where it is damaged."""
    if not place.exists(PLAN_FILE):
        return None
    try:
        found = json_value(bytes(place.read_bytes(PLAN_FILE)))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found:
        raise _no_plan(place)
    return found


def _no_plan(place: Storage) -> DataError:
    return DataError(
        f"{place.address(PLAN_FILE)} is no plan of a sweep: restore it, or begin in another place"
    )


def _require_empty(place: Storage, option: str) -> None:
    """Refuse a place with runs and no plan (nobody knows of which sweep), and one of something else."""
    other = "a dataset" if place.exists(_MANIFEST) else ""
    if not other and any(file.path.endswith("/record.json") for file in place.list_files("models")):
        other = "a registry of models"
    if other:
        raise ContractError(
            f"{place.uri} holds {other}, and a sweep needs a place of its own: name another {option}"
        )
    for folder in RUN_FOLDERS.values():
        if found := place.list_files(folder):
            raise ContractError(
                f"{place.uri} has runs ({found[0].path}) but no {PLAN_FILE} that says of which sweep: empty "
                f"it, or name another {option}"
            )


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, part in value.items():
        if isinstance(part, Mapping) and part:
            flat |= _flat(part, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = part
    return flat


def _shown(values: Mapping[str, Any], name: str) -> str:
    return json_text(values[name]) if name in values else "nothing"
