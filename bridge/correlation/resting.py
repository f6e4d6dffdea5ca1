"""What rests on what: which facts nothing needs any more, so that no verdict changes when they are gone.

Orders stand by all facts of their family, and leave with all of them, when no stored study could have been decided
from them. Merges and links of patients, and their undoing, never leave (docs/decisions/0017).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.core.facts import fact_keys
from bridge.core.link_decisions import decision_lookups
from bridge.core.model import (
    Appointment,
    HL7Fact,
    LinkDecision,
    OrderUpdate,
    PatientUpdate,
    PersonFact,
    Report,
)
from bridge.core.orders import Order, assemble, family_keys
from bridge.core.rules import Pair, scheduled_days
from bridge.correlation.batch import Correlation
from bridge.correlation.cause import Site
from bridge.correlation.people import People, patient_keys
from bridge.store.retention import OldFact, received_since
from bridge.store.transaction import Transaction


@dataclass
class Gone:
    """What is to be taken for removed though it is still stored: nothing but where it is only told what would go."""

    studies: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    facts: set[int] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)  # of which a body is kept: nothing but that rests on them


class Leaving(NamedTuple):
    """What leaves together: facts by their row, and the orders that stood by them."""

    facts: dict[int, HL7Fact | PersonFact]
    orders: dict[str, Order]


_STAYS = Leaving({}, {})

_Family = dict[int, OrderUpdate | Appointment]  # by their rows


class Resting:
    """What one transaction sees of it. `before` (RFC 3339) tells what is old."""

    def __init__(self, db: Transaction, site: Site, before: str, gone: Gone) -> None:
        self._db = db
        self._correlation = Correlation(db, site)
        self._people = People(db, site.policy)
        self._before = before
        self._gone = gone

    def leaving(self, old: Iterable[OldFact]) -> Leaving:
        """What may leave of these old facts, with the facts that have to leave with them."""
        old = list(old)
        updates = {one.id: one.fact for one in old if isinstance(one.fact, OrderUpdate)}
        found = self._orders(updates) if updates else Leaving({}, {})
        for one in old:
            if one.id not in found.facts:
                leaving = self._with(one)
                found.facts.update(leaving.facts)
                found.orders.update(leaving.orders)
        return found

    def _with(self, one: OldFact) -> Leaving:
        match one.fact:
            case Appointment() | Report():
                stays = self._is_about_something(one.fact)
            case PatientUpdate():
                stays = self._has_a_patient(one.fact)
            case LinkDecision():
                return self._decisions(one.fact.study_instance_uid)
            case _:
                stays = True  # and so do order updates that have not left with their family
        return _STAYS if stays else Leaving({one.id: one.fact}, {})

    def _orders(self, updates: Mapping[int, OrderUpdate]) -> Leaving:
        """Every order that the updates may be about, unless a message about one is young, or a study rests on one.

        What many families need is read in sets: one after the other would take several times as long.
        """
        families = self._families(updates)
        young = received_since(self._db, {row for family in families for row in family}, self._before)
        families = [family for family in families if young.isdisjoint(family)]
        orders = [_assembled(family) for family in families]
        self._correlation.studies_of([order for found in orders for order in found.values()])  # reads all at once
        resting = [self._correlation.studies_of(found.values()) for found in orders]
        stored = self._stored({study for studies in resting for study in studies})
        leaving = Leaving({}, {})
        for family, found, studies in zip(families, orders, resting, strict=True):
            scheduled = any(day >= self._before[:10] for order in found.values() for day in scheduled_days(order))
            if not scheduled and stored.isdisjoint(studies):
                leaving.facts.update({row: one for row, one in family.items() if isinstance(one, OrderUpdate)})
                leaving.orders.update(found)
        self._db.orders(leaving.orders)  # nobody else may change them now
        return leaving

    def _families(self, updates: Mapping[int, OrderUpdate]) -> list[_Family]:
        """Of each of these updates, all that may be about the same orders; each family once."""
        by_key: dict[Pair, _Family] = {}
        keys = {key for update in updates.values() for key in family_keys(update)}
        while keys:
            by_key |= {key: {} for key in keys}
            found: _Family = self._db.facts(keys, OrderUpdate, Appointment)
            for row, fact in found.items():
                for key in fact_keys(fact) & keys:
                    by_key[key][row] = fact
            keys = {key for fact in found.values() for key in _joining(fact)} - by_key.keys()
        families: list[_Family] = []
        for row, update in updates.items():
            if not any(row in family for family in families):
                families.append(_family(row, update, by_key))
        return families

    def _is_about_something(self, fact: Appointment | Report) -> bool:
        """Whether an order is known that it may be about, or a study that it names."""
        keys = fact_keys(fact)
        updates = self._db.facts(keys, OrderUpdate).keys() - self._gone.facts
        return bool(updates or self._stored({value for level, value in keys if level == "study"}))

    def _has_a_patient(self, update: PatientUpdate) -> bool:
        """Whether an order or a study is known whose patient it may be about."""
        keys = patient_keys(self._people.add(update))
        return bool(self._owners("order", keys) - self._gone.orders or self._stored(self._owners("study", keys)))

    def _decisions(self, study: str) -> Leaving:
        """All that people decided about a study that was purged, when every order that they named is gone as well."""
        decisions: dict[int, LinkDecision] = self._db.facts({("study", study)}, LinkDecision)
        orders = self._owners("order", decision_lookups(decisions.values())) - self._gone.orders
        young = any(decision.at >= self._before for decision in decisions.values())
        return _STAYS if young or orders or self._stored({study}) else Leaving(dict(decisions), {})

    def _owners(self, side: str, keys: Iterable[Pair]) -> set[str]:
        return {owner for owners in self._db.owners(side, frozenset(keys)).values() for owner in owners}

    def _stored(self, studies: Iterable[str]) -> set[str]:
        """Those of these studies that are stored. They are claimed: none can come in the meantime."""
        known = self._db.studies(set(studies) - self._gone.studies)
        return {uid for uid, study in known.items() if study.decision}


def _joining(fact: OrderUpdate | Appointment) -> frozenset[Pair]:
    """The keys by which a fact joins others to its family; an appointment joins none."""
    return family_keys(fact) if isinstance(fact, OrderUpdate) else frozenset()


def _family(row: int, update: OrderUpdate, by_key: Mapping[Pair, _Family]) -> _Family:
    family: _Family = {row: update}
    seen, keys = set[Pair](), set(family_keys(update))
    while keys:
        family |= {row: fact for key in keys for row, fact in by_key[key].items()}
        seen |= keys
        keys = {key for fact in family.values() for key in _joining(fact)} - seen
    return family


def _assembled(family: _Family) -> dict[str, Order]:
    return assemble(
        [one for one in family.values() if isinstance(one, OrderUpdate)],
        [one for one in family.values() if isinstance(one, Appointment)],
    )
