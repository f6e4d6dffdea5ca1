"""Which messages are about which order, where some state less than others (DESIGN 4.1)."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from bridge.core.identifiers import comparable_issuers, designator
from bridge.core.model import Identifier, OrderUpdate, Stated
from bridge.core.order_numbers import LEVELS, named_by, number, same_number
from bridge.core.order_status import moment, rank
from bridge.core.patients import Comparison, Identity, compare
from bridge.core.struct import encode

Name = tuple[str, ...]  # what tells an order from every other, whatever its messages say of it


def by_order(updates: Iterable[OrderUpdate]) -> list[tuple[Name, list[OrderUpdate]]]:
    """The updates about each order. One that states less than others is about each of those orders, and joins none.

    `updates` must be a whole family (`bridge.core.orders.family_keys`).
    """
    return [
        (group.name + procedure, members)
        for group in _groups(updates)
        for procedure, members in _by_requested_procedure(group.members)
    ]


class _Named(NamedTuple):
    """An update, the number that it names its order by, and what an order of its own would be called."""

    update: OrderUpdate
    number: Identifier | None
    name: Name


class _Group(NamedTuple):
    """The updates about one filler order, or one placer order or accession number without a filler order."""

    name: Name  # level, number, issuer
    members: list[OrderUpdate]


def _groups(updates: Iterable[OrderUpdate]) -> list[_Group]:
    """Each filler order, and each placer order or accession number that no filler order is known for.

    The more a message says, the earlier it is its turn; one that says less is about each order that its number may
    mean, and joins none of them; a number that may be two issuers' means none. Among numbers with equally full issuers
    "the same" is transitive.
    """
    updates = list(updates)
    universals = _universals(updates)
    turns: dict[tuple[int, int], list[_Named]] = defaultdict(list)
    for update in updates:
        level = named_by(update)
        own = number(update, level)
        namespace, universal = designator(own.issuer if own else None)
        universal = universal or universals.get((level, own.value if own else "", namespace), "")
        # what an order is called by this message: by its whole content where it has no number
        name = level, own.value if own else encode(update).hex(), universal or namespace
        turns[LEVELS.index(level), 0 if universal else 1 if namespace else 2].append(_Named(update, own, name))
    groups: list[_Group] = []
    for (index, _), turn in sorted(turns.items()):
        groups += _joined(LEVELS[index], turn, groups)
    return groups


def _universals(updates: Iterable[OrderUpdate]) -> dict[Name, str]:
    """By level, number and namespace: the universal ID that it is written with, if one: both are one issuer."""
    stated = ((level, one) for update in updates for level in LEVELS if (one := number(update, level)))
    found: dict[Name, set[str]] = defaultdict(set)
    for level, one in stated:
        namespace, universal = designator(one.issuer)
        if namespace and universal:
            found[level, one.value, namespace].add(universal)
    return {written: min(known) for written, known in found.items() if len(known) == 1}


def _joined(level: str, turn: Sequence[_Named], groups: Sequence[_Group]) -> list[_Group]:
    """Adds each update to the orders that it is about, and gives those that are new; what is added decides nothing."""
    new: dict[Name, _Group] = {}
    at_home: list[tuple[_Named, list[_Group], bool]] = []
    renumbered = _renumbered(level, groups)
    for named, homes, is_guess in _homes(level, turn, groups, renumbered):
        if _agreeing(named.update, homes):
            at_home.append((named, homes, is_guess))
        else:
            new.setdefault(named.name, _Group(named.name, [])).members.append(named.update)
    found: list[tuple[OrderUpdate, list[_Group]]] = []
    for named, homes, is_guess in at_home:
        own = new.get(named.name)
        if own and is_guess:
            found.append((named.update, homes if _ruled_out(level, named.update, own) else [own]))
        elif own and (renumbered.isdisjoint(group.name for group in homes) or not _precedes(named.update, own)):
            found.append((named.update, _agreeing(named.update, [*homes, own]) or [own]))
        else:
            found.append((named.update, _agreeing(named.update, homes)))
    for update, homes in found:
        for group in homes:
            group.members.append(update)
    return list(new.values())


def _precedes(update: OrderUpdate, group: _Group) -> bool:
    """Whether an update is older than an order that has been given the number of another one since."""
    return moment(update) < min(moment(member) for member in group.members)


def _renumbered(level: str, groups: Iterable[_Group]) -> set[Name]:
    """The groups that have had several numbers of this level."""
    found: set[Name] = set()
    for group in groups:
        if len({one.value for member in group.members if (one := number(member, level))}) > 1:
            found.add(group.name)
    return found


def _homes(
    level: str, turn: Iterable[_Named], groups: Iterable[_Group], renumbered: Container[Name]
) -> Iterator[tuple[_Named, list[_Group], bool]]:
    """Each update with the groups that its number may mean, but for those that had another one by then.

    And whether that is a guess, as one side leaves the issuer out.
    """
    stating: dict[str, list[tuple[_Group, Identifier]]] = defaultdict(list)
    for group in groups:
        for one in {one for member in group.members if (one := number(member, level))}:
            stating[one.value].append((group, one))
    for named in turn:
        own = named.number
        known = [(group, one) for group, one in stating.get(own.value, ()) if same_number(own, one)] if own else []
        if level != "filler" and named.update.order_control == "NW":
            known = [(group, one) for group, one in known if not _shares_only_number(level, named.update, group)]
        certain = {group.name: group for group, one in known if own and _issued(own) == _issued(one)}
        found = certain or _guessed(level, named.update, known)
        yield (
            named,
            [
                group
                for name, group in found.items()
                if name not in renumbered or (own and own.value in _called(group, level, named.update))
            ],
            not certain,
        )


def _shares_only_number(level: str, update: OrderUpdate, group: _Group) -> bool:
    """Whether a new order (NW) has a number that is used again: what has another number too is somebody else's.

    It is not where that was moved to its patient later on: then its first message is no new order.
    """
    if group.name[0] == level or _compared(update, group) is not Comparison.DIFFERENT:
        return False
    first = min(group.members, key=lambda member: (moment(member), rank(member), encode(member)))
    return moment(first) <= moment(update) or first.order_control == "NW"


def _issued(identifier: Identifier) -> bool:
    return any(designator(identifier.issuer))


def _guessed(level: str, update: OrderUpdate, known: Iterable[tuple[_Group, Identifier]]) -> dict[Name, _Group]:
    """What a number may mean of which one side leaves the issuer out: nothing that patient or placer order number rule
    out, and nothing at all where it may still be two issuers'. A message must not change a stranger's order.
    """
    possible = {group.name: group for group, _ in known if not _ruled_out(level, update, group)}
    left = {group.name: group for group in _agreeing(update, list(possible.values()))}
    issuers = [one.issuer for group, one in known if group.name in left]
    several = any(not comparable_issuers(one, other) for one, other in combinations(issuers, 2))
    return {} if several else left


def _ruled_out(level: str, update: OrderUpdate, group: _Group) -> bool:
    """Whether another issuer, placer order number or patient says that an update is not about an order.

    The patient is that of the order at the time of the update, or the first that is known; it must be the same where
    another facility sends. A placer order number that is the same, issuer included, says that it is, whoever the
    patient is now.
    """
    own, placer = number(update, level), number(update, "placer") if level == "filler" else None
    alike = [one for member in group.members if own and (one := number(member, level)) and one.value == own.value]
    if any(own and not same_number(own, one) for one in alike):
        return True
    placers = [one for member in group.members if placer and (one := number(member, "placer"))]
    if placers and not any(placer and same_number(placer, one) for one in placers):
        return True
    if any(placer and same_number(placer, one) and _issued(placer) and _issued(one) for one in placers):
        return False
    outcome = _compared(update, group)
    at_home = update.source.sending_facility in {member.source.sending_facility for member in group.members} - {None}
    return outcome is Comparison.DIFFERENT or (outcome is Comparison.UNKNOWN and not at_home)


def _compared(update: OrderUpdate, group: _Group) -> Comparison:
    """The patient of an update with that of an order at its time, or else the first that is known."""
    stated = sorted((moment(m), encode(m), who) for m in group.members if (who := _patient(m)) != Identity())
    then = [who for when, _, who in stated if when <= moment(update)] or [who for _, _, who in stated[:1]]
    return compare(_patient(update), then[-1]) if then else Comparison.UNKNOWN


def _patient(update: OrderUpdate) -> Identity:
    return Identity(
        identifiers=update.patient_identifiers or (),
        names=update.patient_names or (),
        birth_dates=(update.birth_date,) if isinstance(update.birth_date, str) else (),
    )


def _called(group: _Group, level: str, update: OrderUpdate) -> set[str]:
    """The numbers that the orders of a group had at the time of a message; before the first one, each that followed."""
    found: set[str] = set()
    for _, members in _by_requested_procedure(group.members):
        stated = [(moment(member), one.value) for member in members if (one := number(member, level))]
        then = max((when for when, _ in stated if when <= moment(update)), default=None)
        found |= {value for when, value in stated if then in (None, when)}
    return found


def _agreeing(update: OrderUpdate, groups: list[_Group]) -> list[_Group]:
    """Of several orders that a message may be about, those with its patient, accession number and requested procedure.

    Of the patient it may be that all are moved to another one. Where none has such a number, those that state none;
    where all state another one, the message is about none of them.
    """
    if len(groups) > 1:
        groups = [group for group in groups if _compared(update, group) is not Comparison.DIFFERENT] or groups
    if len(groups) > 1 and (accession := number(update, "accession")):
        groups = _stating(accession.value, [(group, _called(group, "accession", update)) for group in groups])
    if len(groups) > 1 and (procedure := _procedure(update)):
        stated = [(group, {_procedure(member) for member in group.members} - {""}) for group in groups]
        groups = _stating(procedure, stated)
    return groups


def _stating(value: str, stated: Sequence[tuple[_Group, set[str]]]) -> list[_Group]:
    return [group for group, values in stated if value in values] or [group for group, values in stated if not values]


def _procedure(update: OrderUpdate) -> str:
    stated = update.requested_procedure_id
    return stated.value if isinstance(stated, Stated) else ""


_Procedure = tuple[str, str, str]  # requested procedure ID, accession number, Study Instance UID; "" where not needed


def _by_requested_procedure(group: Sequence[OrderUpdate]) -> list[tuple[_Procedure, list[OrderUpdate]]]:
    """One list for each requested procedure; an update is about every one that it does not disagree with.

    Its ID names a procedure. Where one message tells several apart by less, accession number and UID do too.
    """
    told = [(_told(update), update) for update in group]
    distinct = {one for one, _ in told}
    apart = _told_apart(told) if len(distinct) > 1 else set()
    names = apart | {(rp, "", "") for rp, _, _ in distinct - apart if rp and rp not in {name[0] for name in apart}}
    if not names:
        return [(("", "", ""), list(group))]
    names |= {one for one in distinct if not any(_agree(one, name) for name in names)}
    return [(name, [update for one, update in told if _agree(one, name)]) for name in sorted(names)]


def _told_apart(told: Iterable[tuple[_Procedure, OrderUpdate]]) -> set[_Procedure]:
    """The procedures that a message states separately, though not by different IDs."""
    stated: dict[Any, set[_Procedure]] = defaultdict(set)
    for one, update in told:
        if update.source.message_control_id:
            stated[update.source, update.message_time, one[0]].add(one)
    return {name for names in stated.values() if len(names) > 1 for name in names}


def _told(update: OrderUpdate) -> _Procedure:
    accession, uids = number(update, "accession"), update.study_instance_uids or ()
    return _procedure(update), accession.value if accession else "", uids[0].value if uids else ""


def _agree(one: _Procedure, other: _Procedure) -> bool:
    return all(not a or not b or a == b for a, b in zip(one, other, strict=True))
