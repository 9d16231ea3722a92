"""Which models an alias may be served by: those that stood, those that were refused, and by whom.

Owns       the verdicts of this replica until the registry has them, the reading of the alias and of all
           replicas' verdicts, and the order in which a starting replica tries models.
Durable    a refusal binds every replica that starts or looks, until the alias changes. A fault of one machine
           (no memory, a missing package, too slow) binds replicas on that machine alone, until the service is
           deployed anew with just this model.
Read-only  a refusal that the registry does not take is kept in this program's home instead, where replicas of
           this machine find it: a registry that replicas may only read is no reason to serve a refused model.
Deployed   the model that the alias named when the service was deployed: a replica may begin with it, because
           somebody who restarted the service asked for it. A model that the alias named later must first be
           compared with one that stood.
Threads    ``refuse`` and ``refused_here`` anywhere, they read and write nothing; the others off the answering
           path, because they talk to the registry.
"""

import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple

from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import ContractError, DataError, PlatformError, StorageError
from kalshi_platform.domain.places import home
from kalshi_platform.models.registry.aliases import AliasEntry, AliasLog, author
from kalshi_platform.models.registry.store import Registry, now
from kalshi_platform.models.registry.tiers import TierSet, newest_tier_set, tier_sets
from kalshi_platform.models.registry.verdicts import Fault, KeptVerdict, add_verdict, read_verdicts
from kalshi_platform.serving.guard.candidate import Wanted
from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvents
from kalshi_platform.serving.guard.served import Verdict
from kalshi_platform.serving.inference.ready import ModelKey, key_of
from kalshi_platform.storage.storage import open_storage


class Deployed(NamedTuple):
    """Model that an alias named when the service was deployed."""

    entry: int
    key: ModelKey
    at: str  # UTC, as the registry writes times

    def named(self, key: ModelKey, entry: int) -> bool:
        """True where this is ``key`` as named by the change ``entry``."""
        return (self.key, self.entry) == (key, entry)


def deployed_now(registry: Registry, alias: str) -> Deployed | None:
    """Return what ``alias`` names now; None where it names nothing. Errors of the registry come through."""
    entry = registry.aliases().latest(alias)
    if entry is None:
        return None
    return Deployed(entry.number, key_of(entry.model, newest_tier_set(registry, entry.model)), now())


class AliasVerdicts:
    """The verdicts on what one alias named, of this replica and of all that share its registry."""

    def __init__(
        self,
        registry: Registry,
        alias: str,
        events: GuardEvents,
        deployed: Deployed | None = None,
        host: str | None = None,
    ) -> None:
        """``host`` names this machine; None: as the system calls it."""
        self._registry, self._alias, self._events, self._deployed = registry, alias, events, deployed
        self._host = host or socket.gethostname()
        self._own = open_storage(home() / "verdicts" / digest_of(registry.uri))
        self._lock = threading.Lock()
        self._here: dict[tuple[ModelKey, int], Verdict] = {}
        self._served: set[tuple[ModelKey, int]] = set()
        self._unwritten: list[KeptVerdict] = []
        self._seen = AliasLog()  # as it was last read: it only grows

    def read_log(self) -> AliasLog:
        """The log of aliases; DataError where an entry that was there is missing or has changed."""
        log = self._registry.aliases()
        log.require_grown_from(self._seen, self._registry.uri)
        self._seen = log
        return log

    def named(self, log: AliasLog, active: ModelKey | None) -> Wanted:
        """Model that the alias names by ``log``, with its newest tiers; ContractError if it names none."""
        entry = log.latest(self._alias)
        if entry is None:
            raise ContractError(
                f"{self._registry.uri} has no alias {self._alias!r}: promote a model first "
                "(kalshi-platform models promote)"
            )
        tier_set = newest_tier_set(self._registry, entry.model)
        is_return = entry.kind == "rollback" and active is not None and active.model != entry.model
        return Wanted(key_of(entry.model, tier_set), tier_set, entry, log, is_return)

    def refused_here(self, key: ModelKey, entry: int) -> Verdict | None:
        """This replica's own refusal of ``key`` as named by the change ``entry``; None without one."""
        with self._lock:
            return self._here.get((key, entry))

    def refusal(self, key: ModelKey, entry: int) -> Verdict | None:
        """The refusal that binds this replica, its own or one that the registry keeps; None without one.

        A refusal by another replica becomes an event here, once.
        """
        if (own := self.refused_here(key, entry)) is not None:
            return own
        bound = self._binding(key, entry, self._verdicts(entry))
        if bound is None:
            return None
        reason = f"{bound.reason} (refused by {bound.by} at {bound.at}, until {self._alias} changes)"
        found = Verdict(model=key.model, tiers=key.tier_set, reason=reason, fault=bound.fault)
        self.refuse(found, entry, durably=False)
        self._events.add(EventKind.REFUSED, key, found.words)
        return found

    def refuse(self, verdict: Verdict, entry: int, *, durably: bool) -> None:
        """Remember a refusal; ``durably``: :meth:`write` gives it to the registry."""
        key = ModelKey(verdict.model, verdict.tiers)
        with self._lock:
            self._here[key, entry] = verdict
            if durably:
                self._unwritten.append(self._kept(key, entry, verdict.fault, verdict.reason))

    def serves(self, key: ModelKey, entry: int, words: str) -> None:
        """Remember that this replica serves ``key``; :meth:`write` gives it to the registry, once."""
        with self._lock:
            if (key, entry) in self._served:
                return
            self._served.add((key, entry))
            self._unwritten.append(self._kept(key, entry, "", words))

    def stood(self, key: ModelKey, entry: int) -> bool:
        """True where some replica took ``key`` into service as named by the change ``entry``."""
        return any(v.served and _key(v) == key for v in self._verdicts(entry))

    def write(self) -> None:
        """Give the registry what it lacks; where it takes nothing, an event says so and the rest waits."""
        with self._lock:
            waiting = list(self._unwritten)
        for k, verdict in enumerate(waiting):
            try:
                self._registry.add_verdict(verdict)
            except PlatformError as err:
                told = [(each, self._keep_here(each)) for each in waiting[k:]]
                about, words = next((t for t in told if not t[0].served), told[0])
                self._events.add(EventKind.NOT_WRITTEN, _key(about), f"{err}; {words}")
                return
            with self._lock:
                self._unwritten.remove(verdict)

    def _keep_here(self, verdict: KeptVerdict) -> str:
        """Keep a refusal on this machine, as the registry does not take it; returns in words who knows it."""
        if not verdict.served:
            try:
                add_verdict(self._own, verdict)
            except PlatformError as err:
                return (
                    f"nor can this machine keep it ({err}): a replica that starts checks the model for itself"
                )
            return f"kept in {self._own.uri}: a replica that starts on another machine knows nothing of it"
        return "a replica that starts does not know that this model stood"

    def _verdicts(self, entry: int) -> list[KeptVerdict]:
        """Verdicts on what the alias named by the change ``entry``, oldest first: those kept here as well."""
        found = self._registry.verdicts(self._alias, entry)
        known = self._seen.entries
        began = known[entry - 1].at if entry <= len(known) else ""
        try:
            here = [v for v in read_verdicts(self._own, self._alias, entry) if v.at >= began]
        except StorageError:
            return found  # a home that cannot be read kept nothing: an event said so then
        paths = {v.path for v in found}
        return sorted((*found, *(v for v in here if v.path not in paths)), key=lambda verdict: verdict.at)

    def beginnings(self, log: AliasLog, newest: Wanted) -> Iterator[Wanted]:
        """Yield what a starting replica may serve first, best first.

        The model that the alias names (``newest``) comes first where it stood before, where the service was
        deployed with it, or where the alias was rolled back to it; else after every model that stood.
        """
        tried: set[ModelKey] = set()
        entry = newest.entry
        refused = self.refusal(newest.key, entry.number)
        known = (
            entry.kind == "rollback"
            or (self._deployed is not None and self._deployed.named(newest.key, entry.number))
            or self.stood(newest.key, entry.number)
        )
        if refused is None and known:
            tried.add(newest.key)
            yield newest
        for earlier in self._stood_before(log, entry):
            if earlier.key not in tried:
                tried.add(earlier.key)
                yield earlier
        if refused is None and newest.key not in tried:
            yield newest

    def _stood_before(self, log: AliasLog, latest: AliasEntry) -> Iterator[Wanted]:
        """Models that stood under promotions that no rollback took off, the latest first.

        A model that was refused under a later change is left out.
        """
        entries = [latest, *(e for e in reversed(log.promotions(self._alias)) if e.number != latest.number)]
        bound: set[ModelKey] = set()
        for entry in entries:
            verdicts = self._verdicts(entry.number)
            keys = [_key(v) for v in reversed(verdicts) if v.served]
            if self._deployed is not None and self._deployed.entry == entry.number:
                keys.append(self._deployed.key)  # a registry that only reads keeps no verdicts
            bound |= {_key(v) for v in verdicts if self._binding(_key(v), entry.number, verdicts)}
            for key in dict.fromkeys(keys):
                if key not in bound:
                    yield Wanted(key, self._tier_set(key), entry, log, is_return=False)

    def _tier_set(self, key: ModelKey) -> TierSet | None:
        found = {each.digest: each for each in tier_sets(self._registry, key.model)}
        if key.tier_set is not None and key.tier_set not in found:
            raise DataError(f"{self._registry.uri}: {key.model} has no tier set {key.tier_set} any more")
        return found[key.tier_set] if key.tier_set else None

    def _binding(self, key: ModelKey, entry: int, verdicts: list[KeptVerdict]) -> KeptVerdict | None:
        """The refusal of ``key`` that binds here; a machine's ends when the service is deployed anew."""
        bound = [v for v in verdicts if _key(v) == key and v.binds(self._host)]
        if self._deployed is not None and self._deployed.named(key, entry):
            bound = [v for v in bound if v.fault == "model" or v.at > self._deployed.at]
        return bound[0] if bound else None

    def _kept(self, key: ModelKey, entry: int, fault: Fault, reason: str) -> KeptVerdict:
        return KeptVerdict(
            alias=self._alias, entry=entry, model=key.model, tier_set=key.tier_set, fault=fault,
            reason=reason, host=self._host, at=now(), by=author(),
        )  # fmt: skip


def _key(verdict: KeptVerdict) -> ModelKey:
    return ModelKey(verdict.model, verdict.tier_set)
