"""The oracle's orders: which updates are about one requested procedure, and what is known of it (DESIGN 4.1)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from tests.days.messages import DELETED, UNKNOWN_CONTROL, Appointment, Group, Message, Number, OrderMessage
from tests.days.oracle_people import NOBODY, Identity, People, equal, identity

OrderName = tuple[Number | None, Number | None, frozenset[Number], str]  # filler, placer, accessions, procedure


@dataclass
class Update:
    """What a message says about one requested procedure; None is absent."""

    message: OrderMessage
    group: Group
    accessions: tuple[Number, ...] | None
    studies: tuple[str, ...] | None
    procedure: str | None
    step: str | None  # empty: a step without an ID
    shared: bool = False  # it is about several orders


@dataclass
class Order:
    updates: list[Update]
    filler: Number | None = None
    placer: Number | None = None
    accessions: tuple[Number, ...] = ()
    studies: tuple[str, ...] = ()
    procedure: str | None = None
    step: str = ""
    status: str | None = None
    appointment_cancelled: bool = False  # and not made anew
    appointment_alone: bool = False  # it was about this order alone
    away_alone: bool = False  # cancelled, discontinued or held by a message about this one alone
    one_of_several: bool = False
    identity: Identity = NOBODY
    facility: str = ""  # of the message that its numbers come from

    @property
    def name(self) -> OrderName:
        return (self.filler, self.placer, frozenset(self.accessions), self.procedure or "")

    def apply(self, update: Update) -> None:
        """Newest wins per field: the updates come in the sequence of their times."""
        group = update.group
        self.filler = group.filler or self.filler
        self.placer = group.placer or self.placer
        self.accessions = self.accessions if update.accessions is None else update.accessions
        self.studies = self.studies if update.studies is None else update.studies
        self.procedure = update.procedure or self.procedure
        self.step = self.step if update.step is None else update.step
        status = _status(group.control, group.status, self.status)
        alone = not update.shared and (update.procedure is not None or not self.one_of_several)
        if status in ("cancelled", "discontinued", "on-hold"):
            self.status = status if alone or not self.away_alone or status == "cancelled" else self.status
            self.away_alone = self.away_alone or alone
        elif status and (alone or not self.away_alone):
            self.status, self.away_alone = status, False
            if alone or not self.appointment_alone:
                self.appointment_cancelled = self.appointment_alone = False

    def appoint(self, appointment: Appointment, alone: bool) -> None:
        if appointment.event in ("S12", "S13", "S14"):
            self.appointment_cancelled = self.appointment_alone = False
        elif appointment.event == "S15" and self.status in (None, "scheduled", "on-hold"):
            self.appointment_cancelled, self.appointment_alone = True, alone

    @property
    def is_cancelled(self) -> bool:
        without = self.appointment_cancelled and self.status in (None, "scheduled", "on-hold")
        return self.status == "cancelled" or without

    def is_one_of(self, accessions: Sequence[Number | None]) -> bool:
        return any(equal(*pair) for pair in product(self.accessions, accessions))

    def is_named_by(self, fillers: Sequence[Number], placers: Sequence[Number]) -> bool:
        if self.filler and fillers:
            return any(equal(self.filler, number) for number in fillers)
        return any(equal(self.placer, number) for number in placers)


def _status(control: str, status: str, before: str | None) -> str | None:
    """ORC-1 with ORC-5; None where they say nothing of it."""
    if control in ("CA", "OC", "CR", "RP", "RU"):
        return "cancelled"
    if control in ("DC", "OD", "DR"):
        return "discontinued"
    if control in ("HD", "OH"):
        return "on-hold"
    if status:
        return {"CA": "cancelled", "DC": "discontinued", "CM": "completed", "IP": "started", "SC": "scheduled"}[status]
    if control == "SC":
        return None
    if control not in ("NW", "RO") and before in ("completed", "started"):
        return before  # a change or a release does not undo what was done
    return "scheduled"


def _updates(message: OrderMessage) -> Iterator[Update]:
    for group in message.groups:
        accessions = [one.accession for one in group.procedures if one.accession]
        studies = [one.study for one in group.procedures]
        for one in group.procedures:
            stated_accessions = [one.accession] if one.accession else []
            other = group.other_accession
            if other and not any(equal(other, known) for known in accessions):
                stated_accessions.append(other)
            stated_studies = [one.study] if one.study not in ("", DELETED) else []
            if group.other_study and group.other_study not in studies:
                stated_studies.append(group.other_study)
            yield Update(
                message,
                group,
                tuple(stated_accessions) or None,
                tuple(stated_studies) or (() if one.study == DELETED else None),
                one.requested_procedure or None,
                one.step if one.step or one.modality or message.start is not None else None,
            )


def _rank(message: Message) -> int:
    """At one time new comes before other, and other before cancel."""
    controls = [group.control for group in message.groups] if isinstance(message, OrderMessage) else []
    return 0 if "NW" in controls else 2 if {"CA", "OC"} & set(controls) else 1


def orders(messages: Sequence[Message]) -> list[Order]:
    """Filler order number, else placer order number, else accession number; and equal RP ID where both state one."""
    ordered = sorted(
        (one for one in messages if isinstance(one, OrderMessage | Appointment)), key=lambda one: (one.time, _rank(one))
    )
    updates = [update for message in ordered if isinstance(message, OrderMessage) for update in _updates(message)]
    updates = [update for update in updates if update.group.control != UNKNOWN_CONTROL]
    with_filler = [update for update in updates if update.group.filler]
    with_placer = [update for update in updates if update.group.placer and not update.group.filler]
    with_accession = [update for update in updates if not (update.group.placer or update.group.filler)]
    orders = _apart(with_filler, lambda update: update.group.filler)
    orders += _joined(orders, with_placer, lambda update: update.group.placer, lambda order: order.placer)
    orders += _joined(
        orders,
        [update for update in with_accession if update.accessions],
        lambda update: update.accessions[0] if update.accessions else None,
        lambda order: order.accessions[0] if order.accessions else None,
    )
    booked: list[tuple[Order, list[Appointment]]] = []
    for order in orders:
        order.updates.sort(key=updates.index)
        folded = _fold(order.updates, order.one_of_several)
        named = [
            one for one in ordered if isinstance(one, Appointment) and folded.is_named_by(one.fillers, one.placers)
        ]
        booked.append((order, named))
    for order, named in booked:
        alone = [one for one in named if sum(one in its for _, its in booked) == 1]
        order.__dict__.update(_fold(order.updates, order.one_of_several, named, alone, ordered).__dict__)
    return orders


def _fold(
    updates: list[Update],
    one_of_several: bool,
    appointments: Sequence[Appointment] = (),
    alone: Sequence[Appointment] = (),
    sequence: Sequence[Message] = (),
) -> Order:
    order = Order(updates, one_of_several=one_of_several)
    happened: list[Update | Appointment] = [*updates, *appointments]
    if appointments:
        happened.sort(
            key=lambda one: [id(message) for message in sequence].index(
                id(one if isinstance(one, Appointment) else one.message)
            )
        )
    for one in happened:
        if isinstance(one, Appointment):
            order.appoint(one, one in alone)
        else:
            order.apply(one)
    return order


def _apart(updates: Sequence[Update], number: Callable[[Update], Number | None]) -> list[Order]:
    """An order for each number and each requested procedure of it."""
    together: dict[Number, list[Update]] = {}
    for update in updates:
        if own := number(update):
            together.setdefault(own, []).append(update)
    for own in [own for own in together if not own.site]:
        whole = [it for it in together if it.site and it.value == own.value]
        possible = [it for it in whole if _may_be_one(together[own], together[it])]
        if len(possible) == 1:
            together[possible[0]] += together.pop(own)
    orders = []
    for same in together.values():
        same.sort(key=updates.index)
        procedures = {update.procedure for update in same if update.procedure} or {None}
        for procedure in procedures:
            its = [update for update in same if update.procedure in (None, procedure)]
            orders.append(_fold(its, len(procedures) > 1))
    return orders


def _may_be_one(updates: Sequence[Update], others: Sequence[Update]) -> bool:
    """Whether a number with an issuer and one without may be the same.

    One sender or one patient speaks for it; no placer order number and no patient may speak against it.
    """
    found: set[str] = set()
    for update, other in product(updates, others):
        placers = (update.group.placer, other.group.placer)
        if None not in placers and not equal(*placers):
            return False
        found.add(People(()).compare(identity(update.message.patient), identity(other.message.patient)))
        if update.message.facility == other.message.facility:
            found.add("same")
    return "same" in found and "different" not in found


def _is_used_anew(update: Update, order: Order) -> bool:
    """Whether a placer gives the number of an order of somebody else to a new one, before or after that one."""
    first = min(order.updates, key=lambda other: (other.message.time, _rank(other.message)))
    moved = update.message.time < first.message.time and first.group.control != "NW"
    return update.group.control == "NW" and _is_for_another(update, order.updates) and not moved


def _latest(updates: Sequence[Update], until: Update) -> Update:
    """The last that states a patient by then, or else the first one."""
    stated = [one for one in updates if identity(one.message.patient) != NOBODY] or updates
    return next((one for one in reversed(stated) if one.message.time <= until.message.time), stated[0])


def _is_for_another(update: Update, updates: Sequence[Update]) -> bool:
    """Whether it states a patient who is none of those of other updates."""
    patient = identity(update.message.patient)
    return all(People(()).compare(identity(one.message.patient), patient) == "different" for one in updates)


def _joined(
    orders: Sequence[Order],
    updates: Sequence[Update],
    number: Callable[[Update], Number | None],
    current: Callable[[Order], Number | None],
) -> list[Order]:
    """Applies updates with a lesser number to the orders that have it; those that find none are orders themselves.

    A number without issuer that may be that of two sites is neither.
    """
    left = []
    found: list[tuple[Order, Update]] = []
    for update in updates:
        own = number(update)
        alike = [
            order
            for order in orders
            if own and (one := current(order)) and equal(one, own)
            if one.site == own.site or _may_be_one([update], order.updates)
        ]
        sites = {one.site for order in alike if (one := current(order)) and one.site}
        targets = [
            order
            for order in alike
            if len(sites) < 2 and (update.procedure is None or order.procedure in (None, update.procedure))
            if not _is_used_anew(update, order)
        ]
        own_patient = [order for order in targets if not _is_for_another(update, [_latest(order.updates, update)])]
        found += [(order, update) for order in own_patient or targets]
        if not targets:
            left.append(update)
    for update in [update for update in updates if update not in left]:
        mates = [one for one in left if number(one) == number(update) and not _is_for_another(update, [one])]
        its = [order for order, one in found if one is update]
        if mates and all(_is_for_another(update, order.updates) for order in its):
            found = [(order, one) for order, one in found if one is not update]
            left.append(update)
    for _, update in found:
        update.shared = sum(one is update for _, one in found) > 1
    for order, update in found:
        order.updates.append(update)
    return _apart(left, number)
