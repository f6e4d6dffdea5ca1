"""The orders as one transaction sees them: assembled from every update of their family, found by their keys."""

from collections.abc import Collection, Iterable, Sequence

from bridge.core.facts import fact_keys
from bridge.core.model import Appointment, OrderUpdate
from bridge.core.orders import Order, assemble, family_keys
from bridge.core.rules import Pair, order_lookups
from bridge.core.struct import encode
from bridge.store.key_index import KeyIndex
from bridge.store.transaction import Transaction

OrderFact = OrderUpdate | Appointment


class Orders:
    """Loads, assembles and saves orders."""

    def __init__(self, db: Transaction) -> None:
        self._db = db
        self._by_key = KeyIndex(db, "order")
        self._facts: dict[Pair, dict[bytes, OrderFact]] = {}  # by family key, then by content
        self._alone: dict[bytes, dict[str, Order]] = {}  # what an update describes alone, by its content
        self._known: dict[str, Order | None] = {}
        self._lookups: dict[int, tuple[Order, frozenset[Pair]]] = {}  # by identity: a comparison would cost more
        self._changed: set[str] = set()

    def prepare(self, facts: Sequence[OrderFact]) -> dict[str, Order]:
        """Loads what these facts will need; returns the orders that the updates alone describe."""
        self._load_families({key for fact in facts for key in fact_keys(fact)})
        for fact in facts:
            if isinstance(fact, OrderUpdate):
                self._alone[encode(fact)] = assemble([fact])
        described = {order_id: order for alone in self._alone.values() for order_id, order in alone.items()}
        self._by_key.load({key for order in described.values() for key in self.lookups(order)})
        return described

    def under(self, keys: Collection[Pair]) -> list[Order]:
        """The orders that have one of these keys, by id."""
        return self.named(self._by_key.owners(keys))

    def named(self, ids: Collection[str]) -> list[Order]:
        missing = {order_id for order_id in ids if order_id not in self._known}
        if missing:
            self._known.update(dict.fromkeys(missing))
            self._known.update(self._db.orders(missing))
        return [order for order_id in sorted(ids) if (order := self._known[order_id])]

    def apply(self, facts: Sequence[OrderFact]) -> list[Order]:
        """Adds what one message says; returns each order that it changed as it was and as it is."""
        keys = {key for fact in facts for key in fact_keys(fact)}
        self._load_families(keys)
        before = self._assembled(keys)
        for fact in facts:
            content = encode(fact)
            for key in fact_keys(fact):
                self._facts[key][content] = fact
        unnamed = [fact for fact in facts if isinstance(fact, OrderUpdate) and not family_keys(fact)]
        after = self._assembled(keys) | assemble(unnamed)
        changed: list[Order] = []
        for order_id in sorted(before.keys() | after.keys()):
            old, new = before.get(order_id), after.get(order_id)
            if old != new:
                self._known[order_id] = new
                self._changed.add(order_id)
                self._by_key.replace(order_id, self.lookups(old), self.lookups(new))
                changed += [order for order in (old, new) if order]
        return changed

    def lookups(self, order: Order | None) -> frozenset[Pair]:
        """Everything that an order is found by; nothing of none."""
        if not order:
            return frozenset()
        known = self._lookups.get(id(order))
        if known is None:
            known = self._lookups[id(order)] = order, order_lookups(order)
        return known[1]

    def _load_families(self, keys: set[Pair]) -> None:
        """Every update that is connected with these keys, through however many others; an appointment joins none."""
        missing = {key for key in keys if key not in self._facts}
        while missing:
            found: Iterable[OrderFact] = self._db.facts(missing, OrderUpdate, Appointment).values()
            for key in missing:
                self._facts.setdefault(key, {})
            reached: set[Pair] = set()
            for fact in found:
                content = encode(fact)
                for key in fact_keys(fact) & missing:
                    self._facts[key][content] = fact
                reached |= family_keys(fact) if isinstance(fact, OrderUpdate) else frozenset()
            missing = {key for key in reached if key not in self._facts}

    def _assembled(self, keys: set[Pair]) -> dict[str, Order]:
        """The orders of the whole family that these keys belong to."""
        family: dict[bytes, OrderFact] = {}
        open_keys, seen = set(keys), set(keys)
        while open_keys:
            found = {content: fact for key in open_keys for content, fact in self._facts[key].items()}
            open_keys = {k for f in found.values() if isinstance(f, OrderUpdate) for k in family_keys(f)} - seen
            seen |= open_keys
            family |= found
        if len(family) == 1 and (content := next(iter(family))) in self._alone:
            return self._alone[content]
        return assemble(
            [fact for fact in family.values() if isinstance(fact, OrderUpdate)],
            [fact for fact in family.values() if isinstance(fact, Appointment)],
        )

    def save(self) -> None:
        changed = {order_id: self._known[order_id] for order_id in self._changed}
        gone = [order_id for order_id, order in changed.items() if not order]
        self._db.save_orders([order for order in changed.values() if order], gone)
        self._by_key.save()
