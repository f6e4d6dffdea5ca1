"""Applies facts to what is stored, decides again every study that they touch, and says which events are owed.

One `Correlation` lives as long as one transaction: it loads what a batch needs, works in memory, and writes in sets.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from bridge.core.channel import Channel
from bridge.core.decision import Decision, Verdict
from bridge.core.events import CloudEvent, Lineage, Previous, SeriesSummary, StudyData
from bridge.core.matching import decide
from bridge.core.model import Fact, HL7Fact, Instance, OrderUpdate
from bridge.core.orders import Order, assemble, family_keys
from bridge.core.ports import Outbound
from bridge.core.publishing import (
    Origin,
    cloud_event,
    correlation,
    instance_data,
    outbound,
    published_order,
    published_study,
    routing_keys,
)
from bridge.core.rules import Pair, linking, order_lookups, study_lookups
from bridge.core.struct import Value, encode
from bridge.store.key_index import KeyIndex
from bridge.store.rows import HistoryEntry, StoredInstance, StoredMessage, StoredStudy
from bridge.store.transaction import Transaction


class Cause(Value):
    """The message that is being applied, and when."""

    message: str
    channel: str
    message_id: str | None
    correlation_id: str | None
    traceparent: str | None
    at: str


def cause_of(message: StoredMessage, at: str) -> Cause:
    return Cause(
        message=message.id,
        channel=message.channel,
        message_id=message.message_id,
        correlation_id=message.correlation_id or message.message_id,
        traceparent=message.traceparent,
        at=at,
    )


_FEW = 50  # objects of a study that are loaded before it is known whether they are needed


class Correlation:
    """The state of everything that one batch touches."""

    def __init__(self, db: Transaction, origin: Origin, channels: Mapping[str, Channel]) -> None:
        self._db = db
        self._origin = origin
        self._channels = channels
        self._orders_by_key = KeyIndex(db, "order")
        self._studies_by_key = KeyIndex(db, "study")
        self._updates: dict[Pair, dict[bytes, OrderUpdate]] = {}  # by family key, then by content
        self._new_facts: list[tuple[str, HL7Fact]] = []
        self._orders: dict[str, Order | None] = {}
        self._changed_orders: set[str] = set()
        self._studies: dict[str, StoredStudy] = {}
        self._sought_studies: set[str] = set()  # also those that are not stored
        self._stored_instances: dict[str, list[StoredInstance]] = {}  # by study
        self._changed_studies: set[str] = set()
        self._instances: dict[str, StoredInstance | None] = {}
        self._changed_instances: set[str] = set()
        self._history: list[tuple[str, HistoryEntry]] = []
        self._events: list[Outbound] = []

    # Loading in sets, ahead of the single messages

    def prepare(self, facts: Sequence[Fact]) -> None:
        """Loads what these facts will need; what turns out to be needed beyond it is loaded when it is."""
        updates = [fact for fact in facts if isinstance(fact, OrderUpdate)]
        instances = [fact for fact in facts if isinstance(fact, Instance)]
        self._load_family({key for update in updates for key in family_keys(update)})
        named = {key for update in updates for order in assemble([update]).values() for key in order_lookups(order)}
        self._orders_by_key.load(named)
        self._load_instances({one.sop_instance_uid for one in instances})
        reached = self._studies_by_key.owners(linking(named))
        self._load_studies({one.statement.study_instance_uid for one in instances} | reached)
        self._load_stored_instances({uid for uid in reached if sum(self._studies[uid].series.values()) <= _FEW})
        said = [one.statement for one in instances]
        said += [statement for study in self._studies.values() for statement in study.current_statements()]
        keys = {key for statement in said for key in study_lookups([statement])}
        self._load_orders(self._orders_by_key.owners(linking(keys)))
        self._studies_by_key.load(keys)

    def _load_family(self, keys: set[Pair]) -> None:
        """Every update that is connected with these keys, through however many others."""
        missing = {key for key in keys if key not in self._updates}
        while missing:
            found = self._db.facts(OrderUpdate, missing)
            for key in missing:
                self._updates.setdefault(key, {})
            reached = set()
            for update in found.values():
                for key in family_keys(update):
                    if key in missing:
                        self._updates[key][encode(update)] = update
                    reached.add(key)
            missing = {key for key in reached if key not in self._updates}

    def _load_orders(self, ids: Collection[str]) -> None:
        missing = {order_id for order_id in ids if order_id not in self._orders}
        if missing:
            self._orders.update(dict.fromkeys(missing))
            self._orders.update(self._db.orders(missing))

    def _load_studies(self, uids: Collection[str]) -> None:
        missing = {uid for uid in uids if uid not in self._sought_studies}
        if missing:
            self._sought_studies |= missing
            self._studies.update(self._db.studies(missing))

    def _load_stored_instances(self, uids: Collection[str]) -> None:
        missing = {uid for uid in uids if uid not in self._stored_instances}
        if missing:
            self._stored_instances.update(self._db.instances_of(missing))

    def _load_instances(self, uids: Collection[str]) -> None:
        missing = {uid for uid in uids if uid not in self._instances}
        if missing:
            self._instances.update(dict.fromkeys(missing))
            self._instances.update(self._db.instances(missing))

    def apply(self, cause: Cause, facts: Sequence[Fact]) -> None:
        """What one message says."""
        updates = [fact for fact in facts if isinstance(fact, OrderUpdate)]
        if updates:
            self._apply_updates(cause, updates)
        for fact in facts:
            if isinstance(fact, Instance):
                self._apply_instance(cause, fact)
            else:
                self._new_facts.append((cause.message, fact))

    # Orders

    def _apply_updates(self, cause: Cause, updates: Sequence[OrderUpdate]) -> None:
        """What one message says about orders: every study that shares an old or new key is decided again."""
        keys = {key for update in updates for key in family_keys(update)}
        self._load_family(keys)
        before = assemble(self._family(keys))
        for update in updates:
            for key in family_keys(update):
                self._updates[key][encode(update)] = update
        after = assemble(self._family(keys)) | (assemble(u for u in updates if not family_keys(u)))
        touched: set[Pair] = set()
        for order_id in before.keys() | after.keys():
            old, new = before.get(order_id), after.get(order_id)
            if old == new:
                continue
            old_keys = order_lookups(old) if old else frozenset()
            new_keys = order_lookups(new) if new else frozenset()
            self._orders[order_id] = new
            self._changed_orders.add(order_id)
            self._orders_by_key.replace(order_id, old_keys, new_keys)
            touched |= linking(old_keys | new_keys)
        studies = self._studies_by_key.owners(touched)
        self._load_studies(studies)
        for uid in sorted(studies):
            self._decide(self._studies[uid], cause)

    def _family(self, keys: set[Pair]) -> list[OrderUpdate]:
        """All updates that are connected with these keys."""
        family: dict[bytes, OrderUpdate] = {}
        open_keys, seen = set(keys), set(keys)
        while open_keys:
            found = {content: u for key in open_keys for content, u in self._updates[key].items()}
            open_keys = {key for u in found.values() for key in family_keys(u)} - seen
            seen |= open_keys
            family |= found
        return list(family.values())

    # Objects

    def _apply_instance(self, cause: Cause, instance: Instance) -> None:
        """One object. Under a known SOP Instance UID the same header says nothing new, another one replaces it."""
        self._load_instances([instance.sop_instance_uid])
        known = self._instances[instance.sop_instance_uid]
        if known and (known.instance == instance or _newer(known.instance, instance)):
            return
        stored = StoredInstance(cause.message, cause.channel, instance)
        self._instances[instance.sop_instance_uid] = stored
        self._changed_instances.add(instance.sop_instance_uid)
        moved_from = known.instance.statement.study_instance_uid if known else None
        if known and moved_from:
            self._count(self._study(moved_from, cause.channel), known.instance, -1)
        study = self._study(instance.statement.study_instance_uid, cause.channel)
        new_statement = self._count(study, instance, +1)
        if moved_from and moved_from != study.uid:
            self._decide(self._studies[moved_from], cause)
        may_differ = new_statement or known or study.decision is None
        if not (may_differ and self._decide(study, cause, replaced=known is not None)):
            self._publish_instances(study, [stored], cause)

    def _study(self, uid: str, channel: str) -> StoredStudy:
        self._load_studies([uid])
        if uid not in self._studies:
            self._studies[uid] = StoredStudy(uid, channel)
            self._stored_instances[uid] = []
        return self._studies[uid]

    def _count(self, study: StoredStudy, instance: Instance, change: int) -> bool:
        """Adds or removes one object; says whether the study's set of statements changed."""
        digest = _digest(instance.statement)
        before = study.current_statements()
        _, count = study.statements.get(digest, (instance.statement, 0))
        study.statements[digest] = (instance.statement, count + change)
        series = (instance.series_instance_uid or "", instance.statement.modality or "")
        study.series[series] = study.series.get(series, 0) + change
        self._changed_studies.add(study.uid)
        if (count + change == 0) or (count == 0):
            after = study.current_statements()
            self._studies_by_key.replace(study.uid, study_lookups(before), study_lookups(after))
            return True
        return False

    # Verdicts

    def _decide(self, study: StoredStudy, cause: Cause, *, replaced: bool = False) -> bool:
        """Decides a study again and queues what its consumers must know; says whether that included its objects."""
        statements = study.current_statements()
        ids = self._orders_by_key.owners(linking(study_lookups(statements)))
        self._load_orders(ids)
        decision = decide(statements, [order for order_id in ids if (order := self._orders[order_id])])
        linked = self._linked(decision)
        digest = _digest([published_order(order) for order in linked])
        before, digest_before = study.decision, study.orders_digest
        if decision == before and digest == digest_before and not replaced:
            return False
        study.revision += 1
        study.decision, study.orders_digest, study.decided_at = decision, digest, cause.at
        self._changed_studies.add(study.uid)
        names = [name for name in _study_events(before, decision) if self._publishes(study.channel, name)]
        self._remember(study, before, cause, names)
        for name in names:
            self._publish_study(name, study, before, cause)
        if decision.verdict is Verdict.MATCHED and digest != digest_before:
            self._publish_instances(study, self._all_instances(study), cause, before)
            return True
        return False

    def _linked(self, decision: Decision) -> tuple[Order, ...]:
        return tuple(order for order_id in decision.orders if (order := self._orders[order_id]))

    def _all_instances(self, study: StoredStudy) -> list[StoredInstance]:
        """The current objects of a study, the stored ones and those of this transaction."""
        self._load_stored_instances([study.uid])
        found = {one.instance.sop_instance_uid: one for one in self._stored_instances[study.uid]}
        found.update({uid: one for uid in self._changed_instances if (one := self._instances[uid])})
        return [one for _, one in sorted(found.items()) if one.instance.statement.study_instance_uid == study.uid]

    def _remember(self, study: StoredStudy, before: Decision | None, cause: Cause, events: Sequence[str]) -> None:
        decision = _decided(study)
        entry = HistoryEntry(
            revision=study.revision,
            at=cause.at,
            verdict=decision.verdict,
            reason=decision.reason,
            orders=decision.orders,
            previous=_previous(before),
            message=cause.message,
            message_id=cause.message_id,
            events=tuple(events),
        )
        self._history.append((study.uid, entry))

    # Events

    def _publish_study(self, name: str, study: StoredStudy, before: Decision | None, cause: Cause) -> None:
        decision = _decided(study)
        data = StudyData(
            revision=study.revision,
            channel=study.channel,
            study=published_study(study.uid, study.current_statements(), series_of(study)),
            correlation=correlation(decision, _previous(before)),
            orders=tuple(published_order(order) for order in self._linked(decision)),
            lineage=Lineage(None, cause.message),
        )
        event = cloud_event(self._origin, name, subject=study.uid, partition=study.uid, time=cause.at, data=data)
        self._owe(event, study.channel, routing_keys(name, data.study.modalities), cause)

    def _publish_instances(
        self, study: StoredStudy, instances: Iterable[StoredInstance], cause: Cause, before: Decision | None = None
    ) -> None:
        decision = _decided(study)
        name = f"instance.{'enriched' if decision.verdict is Verdict.MATCHED else decision.verdict}"
        decided, linked = correlation(decision, _previous(before)), self._linked(decision)
        for stored in instances:
            if not self._publishes(stored.channel, name):
                continue
            said = stored.instance.statement
            data = instance_data(
                stored.instance,
                decided,
                linked,
                revision=study.revision,
                channel=stored.channel,
                lineage=Lineage(stored.message, cause.message),
            )
            event = cloud_event(
                self._origin,
                name,
                subject=stored.instance.sop_instance_uid,
                partition=study.uid,
                time=cause.at,
                data=data,
            )
            self._owe(event, stored.channel, routing_keys(name, (said.modality,) if said.modality else ()), cause)

    def _publishes(self, channel: str, event: str) -> bool:
        """Whether a channel wants events of this name; one whose file is gone wants them all."""
        known = self._channels.get(channel)
        return known is None or known.publishes(event)

    def _owe(self, event: CloudEvent[Any], channel: str, keys: Sequence[str], cause: Cause) -> None:
        self._events.append(
            outbound(event, channel, keys, correlation_id=cause.correlation_id, traceparent=cause.traceparent)
        )

    def save(self) -> list[Outbound]:
        """Writes everything, and returns the events owed with their rows."""
        db = self._db
        db.add_facts(self._new_facts)
        changed = {order_id: self._orders[order_id] for order_id in self._changed_orders}
        db.save_orders([o for o in changed.values() if o], [order_id for order_id, o in changed.items() if not o])
        db.save_instances([one for uid in self._changed_instances if (one := self._instances[uid])])
        db.save_studies([self._studies[uid] for uid in sorted(self._changed_studies)])
        self._orders_by_key.save()
        self._studies_by_key.save()
        db.add_history(self._history)
        return db.owe(self._events)


def _digest(value: Any) -> str:
    """Equal for equal values."""
    return sha256(encode(value)).hexdigest()[:32]


def series_of(study: StoredStudy) -> tuple[SeriesSummary, ...]:
    """The counts of a study's series."""
    return tuple(
        SeriesSummary(uid or None, modality or None, instances)
        for (uid, modality), instances in sorted(study.series.items())
        if instances
    )


def _decided(study: StoredStudy) -> Decision:
    if study.decision is None:
        raise AssertionError(f"study without decision at revision {study.revision}")
    return study.decision


def _previous(before: Decision | None) -> Previous | None:
    return Previous(before.verdict, before.orders) if before else None


def _newer(known: Instance, arrived: Instance) -> bool:
    """Whether the known object was corrected later than the one that arrives (0400,0562)."""
    return (known.attributes_modified_at or "") > (arrived.attributes_modified_at or "")


def _study_events(before: Decision | None, after: Decision) -> list[str]:
    """The events of a study that its new verdict calls for."""
    names = []
    lost = set(before.orders) - set(after.orders) if before else set()
    if lost:
        names.append("study.unlinked")
    changed = before is None or before.verdict is not after.verdict or before.orders != after.orders
    if changed and after.verdict is not Verdict.PENDING:
        names.append(f"study.{after.verdict}")
    return names
