"""The manifest of a dataset: which file holds what, with checksums. The build writes it last, so that a
reader sees a whole dataset or none.

``manifest.json`` is small: all that grows with markets or events lies in columnar tables beside it
(``tables.py``), which it names by sha256 and size. So its digest, over the text, still names the dataset.
Paths are relative to the dataset's root and end in the first hex digits of the content's sha256, so that a
rebuild never writes over a file that an earlier manifest names: ``tables/<kind>.<hash>.arrow``,
``markets.<hash>.parquet`` (specifications and settlements), ``outcomes.<hash>.parquet`` (the known outcomes
of all markets that the metadata tell of, with rows here or not), ``events/<event>.<hash>.parquet`` (one row
group a market), ``features/<feature digest>/<event>.<hash>.arrow`` (one record batch a market).

Lineage    a dataset that grew names its earlier states in ``parents``. An event keeps the split that it was
           given first, for ever: ``markets`` and ``left_out`` hold every assignment; none is ever changed.
Earlier    manifests of version 1 are read (``manifest_v1.py``) and keep their digest.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from kalshi_platform.data.dataset.blocks import PARTS, Part, Stratum
from kalshi_platform.data.dataset.certified import CertifiedRun
from kalshi_platform.data.dataset.columns import PROVENANCES
from kalshi_platform.data.dataset.entries import columns_of
from kalshi_platform.data.dataset.entry import JoinedFiles, MarketEntry, Shard, ShardKind
from kalshi_platform.data.dataset.manifest_tables import TableContent, encode_content, read_tables
from kalshi_platform.data.dataset.manifest_text import MANIFEST_VERSION, ManifestText
from kalshi_platform.data.dataset.manifest_v1 import ManifestV1
from kalshi_platform.data.dataset.split import Asked, Split, SplitConfig
from kalshi_platform.data.dataset.tables import Table, strings
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.worlds import UNNAMED
from kalshi_platform.storage.storage import Storage

__all__ = [
    "MANIFEST_NAME",
    "MANIFEST_VERSION",
    "Asked",
    "JoinedFiles",
    "Manifest",
    "MarketEntry",
    "Part",
    "Shard",
    "ShardKind",
    "Split",
    "judge_only_words",
    "playable_words",
]

MANIFEST_NAME: Final = "manifest.json"
STATES_FOLDER: Final = ".states"
_FIELDS: Final = (
    "feature_digest", "shards", "markets", "sources", "counters", "notes", "split", "imported", "left_out",
    "strata", "parents", "joined", "worlds", "recordings",
)  # fmt: skip
#: Fields of a stratum that name events.
_STRATUM_LISTS: Final = ("left_out", "long")


class Manifest:
    """Feature digest, markets and files of a dataset, and counters of the import.

    ``markets`` and ``shards`` are sequences over columns: an entry is made when it is asked for. Nothing here
    changes after it was made.
    """

    def __init__(
        self,
        feature_digest: str,
        shards: Iterable[Shard],
        markets: Iterable[MarketEntry],
        sources: Iterable[str],
        counters: Mapping[str, int],
        notes: Iterable[str] = (),
        split: SplitConfig | None = None,
        imported: Iterable[str] = (),
        left_out: Iterable[str] = (),
        strata: Iterable[Stratum] = (),
        parents: Iterable[str] = (),
        joined: Iterable[JoinedFiles] = (),
        worlds: Iterable[str] = (),
        recordings: Iterable[CertifiedRun] = (),
    ) -> None:
        """Take ``markets`` and ``shards`` into columns, one by one: a generator serves as well as a list.

        ``sources`` are names of the imported files and ``imported`` the sha256 of those with rows, sorted;
        ``left_out`` the events that an embargo left out of every split, for ever; ``joined`` the trades put
        beside books; ``worlds`` the simulated worlds that the files name; ``recordings`` the certified
        coverage of the recorder's runs. ContractError names what
        contradicts itself.
        """
        entries, files = columns_of(markets, shards, feature_digest, joined)
        lists = _lists(sources, imported, left_out, strata := tuple(strata))
        self._take(
            TableContent(entries, files, lists),
            _Facts(
                feature_digest,
                dict(counters),
                tuple(notes),
                split or SplitConfig(),
                _bare(strata),
                tuple(parents),
                _named(worlds),
                tuple(recordings),
            ),
        )

    def _take(self, content: TableContent, facts: "_Facts") -> None:
        self.feature_digest, self.counters, self.notes, self.split = facts[:4]
        self._strata, self.parents, self._worlds, self.recordings = facts[4:]
        self.markets, self.shards, self._lists = content
        self._v1: tuple[bytes, str] | None = None
        left_out = self._lists.get("left_out")
        if left_out is not None:
            events = self.markets.events
            both = pc.is_in(events.name, value_set=left_out).to_numpy(zero_copy_only=False) & (
                events.part >= 0
            )
            if both.any():
                at = int(both.argmax())
                part = PARTS[events.part[at]]
                raise ContractError(f"event {events.name[at].as_py()} is in {part} and left out")

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Names of the imported files."""
        return self._names("sources")

    @cached_property
    def imported(self) -> tuple[str, ...]:
        """Sha256 of the imported files with rows, sorted."""
        return self._names("imported")

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Events that an embargo left out of every split, for ever; sorted."""
        return self._names("left_out")

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """Divisions of recorded events in time; empty: none, or built before it was kept."""
        return tuple(
            stratum.replace(**{name: self._names(f"strata.{at}.{name}") for name in _STRATUM_LISTS})
            for at, stratum in enumerate(self._strata)
        )

    @cached_property
    def worlds(self) -> tuple[str, ...]:
        """Worlds of the simulated markets by name (``domain/worlds.py``); none where no market is."""
        simulated = bool((self.markets.numbers("provenance") == PROVENANCES.index("simulated")).any())
        return self._worlds or ((UNNAMED,) if simulated else ())

    @cached_property
    def joined(self) -> tuple[JoinedFiles, ...]:
        """Trades put beside books, summed over the markets of equal files."""
        return self.markets.joined.sums()

    def _names(self, name: str) -> tuple[str, ...]:
        return tuple(self._lists[name].to_pylist()) if name in self._lists else ()

    @property
    def version(self) -> int:
        """Version of the text that names this state: 1 only where it was read from such a text."""
        return MANIFEST_VERSION if self._v1 is None else 1

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Tables to write before the text; none for a state that is named by a text of version 1."""
        return () if self._v1 is not None else tuple(encode_content(self.markets, self._lists))

    @cached_property
    def text(self) -> ManifestText:
        """Content of ``manifest.json``."""
        return self._text([table.shard for table in self.tables])

    def _text(self, tables: Iterable[Shard]) -> ManifestText:
        return ManifestText(
            feature_digest=self.feature_digest,
            n_markets=len(self.markets),
            n_events=self.markets.events.n_events,
            tables=tuple(tables),
            files=self.shards.whole,
            counters=self.counters,
            notes=self.notes,
            split=self.split,
            strata=self._strata,
            parents=self.parents,
            worlds=self._worlds,
            recordings=self.recordings,
        )

    @cached_property
    def digest(self) -> str:
        """Name of this state of the dataset: the first 12 hex digits of a sha256 over its text."""
        return self.text.digest if self._v1 is None else self._v1[1]

    def to_bytes(self) -> bytes:
        """Bytes of ``manifest.json``: canonical JSON, so that equal manifests have equal bytes."""
        return _bytes_of(self.text) if self._v1 is None else self._v1[0]

    def write(self, storage: Storage, path: str = MANIFEST_NAME) -> None:
        """Write the tables, then the text that names them: a reader sees this state whole, or not at all."""
        for table in self.tables:
            storage.write_bytes_atomic(table.shard.path, table.data)
        storage.sync_folders(table.shard.path for table in self.tables)
        storage.write_bytes_atomic(path, self.to_bytes())

    @classmethod
    def read(cls, storage: Storage, path: str = MANIFEST_NAME) -> Self:
        """Read a manifest and its tables; DataError names the file, what is wrong there and what to do."""
        address = storage.address(path)
        data = bytes(storage.read_bytes(path))
        text = _parsed(data, address)
        try:
            if isinstance(text, ManifestV1):
                return cls._of_v1(text, data)
            return cls._of_text(text, read_tables(storage, text, address))
        except (ContractError, OverflowError, UnicodeEncodeError) as err:  # columns hold i8 and UTF-8
            raise DataError(f"{address}: {err}; rebuild the dataset") from None

    @classmethod
    def _of_text(cls, text: ManifestText, content: TableContent) -> Self:
        made = cls.__new__(cls)
        facts = (
            text.feature_digest, text.counters, text.notes, text.split, text.strata, text.parents,
            text.worlds, text.recordings,
        )  # fmt: skip
        made._take(content, _Facts(*facts))
        made.__dict__ |= {"text": text, "digest": text.digest}
        return made

    @classmethod
    def _of_v1(cls, text: ManifestV1, data: bytes) -> Self:
        values = {name: getattr(text, name) for name in ManifestV1.model_fields if name != "version"}
        made = cls(**values)
        made._v1 = data, text.digest
        return made

    def replace(self, **changes: Any) -> Self:
        """A copy with ``changes``, checked again; it is of version 2 whatever this one was read from."""
        values = {name: getattr(self, name) for name in _FIELDS} | changes
        if changes.keys() & {"feature_digest", "shards", "markets", "joined"}:
            return type(self)(**values)
        lists = _lists(values["sources"], values["imported"], values["left_out"], values["strata"])
        made = type(self).__new__(type(self))
        facts = _Facts(
            self.feature_digest, dict(values["counters"]), tuple(values["notes"]), values["split"],
            _bare(values["strata"]), tuple(values["parents"]), _named(values["worlds"]),
            tuple(values["recordings"]),
        )  # fmt: skip
        made._take(TableContent(self.markets, self.shards, lists), facts)
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Manifest) and self._as_v2() == other._as_v2()

    __hash__ = None  # type: ignore[assignment]

    def _as_v2(self) -> ManifestText:
        if self._v1 is None:
            return self.text
        return self._text(table.shard for table in encode_content(self.markets, self._lists))

    @property
    def n_bytes(self) -> int:
        """Size of all files of this state but ``manifest.json`` itself."""
        tables = [] if self._v1 is not None else self.text.tables
        files = sum(int(sizes[sizes >= 0].sum()) for sizes in self.markets.events.n_bytes)
        return files + sum(shard.n_bytes for shard in (*tables, *self.shards.whole))

    def paths(self) -> set[str]:
        """Places of all files of this state but ``manifest.json`` itself."""
        return {shard.path for shard in self.files()}

    def files(self) -> tuple[Shard, ...]:
        """All files of this state but ``manifest.json`` itself, with their digests."""
        tables = () if self._v1 is not None else self.text.tables
        return (*tables, *self.shards)

    def events(self, split: Asked | None = None) -> tuple[str, ...]:
        """Events of one split (of the whole dataset where None or ``all``), sorted."""
        return self.markets.of(split).event_names

    def descends_from(self, digest: str) -> bool:
        """True where ``digest`` names this state of the dataset or a state that it grew from."""
        return digest == self.digest or digest in self.parents

    def assignments(self) -> dict[str, Part | None]:
        """Part of every event that was ever assigned; None where an embargo left it out."""
        events = self.markets.events
        parts = zip(events.name.to_pylist(), events.part.tolist(), strict=True)
        return {name: PARTS[code] for name, code in parts if code >= 0} | dict.fromkeys(self.left_out)


class _Facts(NamedTuple):
    """Facts of a manifest that do not grow with its markets."""

    feature_digest: str
    counters: dict[str, int]
    notes: tuple[str, ...]
    split: SplitConfig
    strata: tuple[Stratum, ...]
    parents: tuple[str, ...]
    worlds: tuple[str, ...]
    recordings: tuple[CertifiedRun, ...]


def _bare(strata: Iterable[Stratum]) -> tuple[Stratum, ...]:
    """The strata without the events that they name, which lie in a table."""
    return tuple(stratum.replace(left_out=(), long=()) for stratum in strata)


def _named(worlds: Iterable[str]) -> tuple[str, ...]:
    """Worlds to keep; none where no recording names one, so that a manifest of before keeps its bytes."""
    return () if (names := tuple(sorted(set(worlds)))) == (UNNAMED,) else names


def _lists(
    sources: Iterable[str], imported: Iterable[str], left_out: Iterable[str], strata: Sequence[Stratum]
) -> dict[str, pa.Array]:
    """Lists of names that may grow with the dataset, by the name of the list, without empty ones."""
    found = {"sources": tuple(sources), "imported": tuple(imported), "left_out": tuple(left_out)}
    for at, stratum in enumerate(strata):
        found |= {f"strata.{at}.{name}": getattr(stratum, name) for name in _STRATUM_LISTS}
    return {name: strings(names) for name, names in found.items() if names}


def read_digest(storage: Storage, path: str = MANIFEST_NAME) -> str:
    """Digest of the state that ``path`` names, without its tables."""
    return _parsed(bytes(storage.read_bytes(path)), storage.address(path)).digest


def _parsed(data: bytes, address: str) -> ManifestText | ManifestV1:
    try:
        values: Any = json_value(data)
    except ValueError as err:
        raise DataError(f"{address}: no JSON ({err}); rebuild the dataset") from None
    version = values.get("version") if isinstance(values, dict) else None
    if version not in (1, MANIFEST_VERSION):
        raise DataError(
            f"{address}: manifest version {shown_value(version)}, this program reads 1 and "
            f"{MANIFEST_VERSION}; rebuild the dataset with this version"
        )
    try:
        return (ManifestV1 if version == 1 else ManifestText).model_validate(values)
    except ValidationError as err:
        first = err.errors()[0]
        field = ".".join(map(str, first["loc"])) or "manifest"
        raise DataError(f"{address}: {field}: {first['msg']}; rebuild the dataset") from None


def _bytes_of(text: ManifestText) -> bytes:
    return (json_text(text.model_dump(mode="json"), sort_keys=True, indent=1) + "\n").encode()


def state_path(digest: str) -> str:
    """Place of the manifest of an earlier state (``states.py`` keeps it)."""
    return f"{STATES_FOLDER}/{digest}.json"


def playable_words(n_markets: int, n_unplayable: int | None) -> str:
    """Return the number of markets, and of those that no episode can step over, as every page says it."""
    markets = f"{n_markets:,} market{'' if n_markets == 1 else 's'}"
    if n_unplayable is None:
        return f"{markets} (built before those that cannot be played were counted)"
    if not n_unplayable:
        return markets
    return (
        f"{markets}, of which {n_unplayable:,} cannot be played: fewer than two rows in a row "
        "with a valid book"
    )


def judge_only_words(manifest: Manifest) -> str:
    """Words on the events that can only be judged whole, to end a refusal; empty where there are none."""
    if not (events := manifest.events("judge_only")):
        return ""
    return (
        f"; {len(events):,} of its {len(manifest.events()):,} events are in no split, because their strata "
        "have fewer than 3 blocks or no room for an embargo (dataset info): judge them with evaluate --split "
        "all, or record more"
    )
