"""Orders of a made-up day: placed, changed, cancelled, replaced, scheduled, reported."""

from dataclasses import replace

from tests.days.messages import (
    DELETED,
    PLACEHOLDERS,
    UNKNOWN_CONTROL,
    Appointment,
    Group,
    OrderMessage,
    Patient,
    Procedure,
    Report,
)
from tests.days.world import SITES, START, Order, Person, World

DUMMY_STUDY = "999"
_MODALITIES = ("CT", "MR")
_STATES = (  # ORC-1 and ORC-5
    ("CA", ""), ("CA", "CA"), ("OC", ""), ("CR", ""), ("SC", "CA"), ("DC", ""), ("DC", "CA"), ("OD", ""),
    ("SC", "DC"), ("SC", "CM"), ("XO", "CM"), ("SC", "IP"), ("HD", ""), ("RL", ""), ("UC", ""), ("UD", ""),
    ("XO", "SC"), ("NW", "SC"), ("XO", "CA"), (UNKNOWN_CONTROL, ""),
)  # fmt: skip


def order(world: World) -> None:
    """One order, or a message with several; sometimes the placer speaks first, without the filler's numbers."""
    person, site = world.r.choice(world.people), world.r.choice(SITES)
    order = new_order(world, person, site)
    patient = world.registered(person, site, order.under_temporary)
    orders = [order]
    if world.chance(0.12):
        other = new_order(world, person, site, order.kind)
        if order.filler and other.filler:  # else one message about one order twice
            orders.append(other)
    if world.chance(0.12) and order.filler and order.placer:
        early = replace(order, filler="", accession="", procedures=[Procedure(modality="CT")])
        send(world, patient, [order], [group_of(world, early, "NW")])
    control = world.r.choice(("NW", "NW", "NW", "XO", "SC"))
    send(world, patient, orders, [group_of(world, one, control) for one in orders])


def new_order(world: World, person: Person, site: str, kind: str = "") -> Order:
    kind = kind or world.r.choice(("ORM", "OMI"))
    accession = world.next("A", site)
    chance = world.r.random()
    if chance < 0.06 and world.orders:
        accession = world.r.choice([one.accession for one in world.orders if not one.accession.startswith("B")] or [""])
    elif chance < 0.08:
        accession = world.r.choice(PLACEHOLDERS)
    elif chance < 0.11:
        accession = person.numbers[site]
    elif chance < 0.15:
        accession = ""
    procedures = [
        Procedure(
            study=_new_study(world),
            requested_procedure=f"R{number}" if kind == "OMI" or world.chance(0.6) else "",
            step=world.r.choice(("", "S1", f"S{number}")),
            modality=world.r.choice(_MODALITIES),
        )
        for number in range(1, 1 + (world.r.choice((1, 1, 2, 3)) if kind == "OMI" else 1))
    ]
    placer, filler = world.next("P", site), world.next("F", site)
    chance = world.r.random()
    if chance < 0.06:
        placer = ""
    elif chance < 0.1:
        filler = ""
    elif chance < 0.13:
        placer = filler = ""
        accession = world.next("B", site)  # a number that no order of another kind has
    elif chance < 0.17:
        placer = next((one.placer for one in world.orders if one.site == site and one.person is person), placer)
    order = Order(person, site, kind, placer, filler, accession, procedures)
    order.under_temporary = bool(person.temporary) and world.chance(0.5)
    world.orders.append(order)
    return order


def _new_study(world: World) -> str:
    chance = world.r.random()
    if chance < 0.15:
        return ""
    return DUMMY_STUDY if chance < 0.19 else world.next("")


def send(world: World, patient: Patient, orders: list[Order], groups: list[Group]) -> None:
    """One message about orders of one patient; sometimes it is sent long after what it says was so (ORC-9)."""
    time = world.time()
    first = orders[0]
    contradictory = any(group.other_accession or group.other_study for group in groups)
    world.messages.append(
        OrderMessage(
            time=time,
            facility=first.site,
            kind="OMI" if first.kind == "OMI" or contradictory else "ORM",
            patient=patient,
            groups=tuple(groups),
            true_person=first.person.identity,
            start=world.r.choice((None, START, START + 86400)),
            sent=time + world.r.choice((60, 86400)) if world.chance(0.1) else None,
        )
    )
    for order in orders:
        order.patient = patient


def group_of(world: World, order: Order, control: str, status: str = "") -> Group:
    accession = world.of_order(order.accession, order.site)
    return Group(
        control=control,
        status=status or world.r.choice(("", "SC") if control in ("NW", "XO", "SC") else ("",)),
        placer=world.of_order(order.placer, order.site),
        filler=world.of_order(order.filler, order.site),
        procedures=tuple(replace(one, accession=accession) for one in order.procedures),
    )


def update(world: World) -> None:
    """XO: another accession number, Study Instance UID or patient; or only parts of what is known."""
    order = world.r.choice(world.orders)
    patient = world.registered(order.person, order.site, order.under_temporary)
    group = group_of(world, order, "XO")
    chance = world.r.random()
    if chance < 0.2:
        order.accession = world.next("A" if order.filler or order.placer else "B", order.site)
        group = group_of(world, order, "XO")
    elif chance < 0.35:
        order.procedures = [replace(one, study=world.next("")) for one in order.procedures]
        group = group_of(world, order, "XO")
    elif chance < 0.55:
        order.person = world.r.choice(world.people)
        order.under_temporary = bool(order.person.temporary) and world.chance(0.3)
        patient = world.registered(order.person, order.site, order.under_temporary)
    elif chance < 0.7:
        bare = [replace(one, study="", requested_procedure="", step="") for one in order.procedures[:1]]
        group = replace(group, procedures=tuple(bare))
    elif chance < 0.76:
        group = replace(group, other_accession=world.of_order(wrong_accession(world, order), order.site))
    elif chance < 0.82 and order.procedures[0].study:
        group = replace(group, other_study=some_study(world))
    elif chance < 0.86:
        group = replace(group, procedures=(replace(group.procedures[0], study=DELETED),))
    elif chance < 0.89:
        order.under_temporary = False
        patient = world.registered(order.person, order.site)
    elif chance < 0.92:
        patient = Patient()
    send(world, patient, [order], [group])


def change_status(world: World) -> None:
    """Cancelled, discontinued, completed, put on hold, restored, or replaced by another order."""
    order = world.r.choice(world.orders)
    if world.chance(0.15):
        _replace(world, order)
        return
    group = group_of(world, order, *world.r.choice(_STATES))
    if world.chance(0.4) and (group.placer or group.filler):  # as a placer cancels: nothing but its own number
        group = replace(group, filler=None if group.placer else group.filler, procedures=(Procedure(),))
    elif world.chance(0.3):
        group = replace(group, procedures=group.procedures[:1])
    send(world, order.patient, [order], [group])


def _replace(world: World, order: Order) -> None:
    """RP cancels the order, RO in the same message or in one of its own is its successor."""
    successor = new_order(world, order.person, order.site, order.kind)
    if not order.filler and successor.placer == order.placer:  # under its only number it would be the same order
        successor.placer = world.next("P", order.site)
    if world.chance(0.4) and (order.filler or order.placer) and (successor.filler or successor.placer):
        successor.accession = order.accession
    old, new = group_of(world, order, world.r.choice(("RP", "RU"))), group_of(world, successor, "RO")
    patient = world.registered(order.person, order.site, order.under_temporary)
    if world.chance(0.6):
        send(world, patient, [order, successor], [old, new])
    else:
        send(world, patient, [order], [old])
        send(world, patient, [successor], [replace(new, replaced_filler=old.filler)])


def appointment(world: World) -> None:
    order = world.r.choice(world.orders)
    if not (order.placer or order.filler):
        return
    world.messages.append(
        Appointment(
            time=world.time(),
            facility=order.site,
            event=world.r.choice(("S12", "S13", "S14", "S15", "S15", "S26")),
            patient=world.registered(order.person, order.site),
            placers=(world.of_order(order.placer, order.site),) if order.placer else (),
            fillers=(world.of_order(order.filler, order.site),) if order.filler and world.chance(0.8) else (),
            start=START + 3600,
            true_person=order.person.identity,
        )
    )


def report(world: World) -> None:
    order = world.r.choice(world.orders)
    world.messages.append(
        Report(
            world.time(), order.site, world.registered(order.person, order.site),
            world.of_order(order.filler, order.site),
            world.of_order(order.accession, order.site),
            order.procedures[0].study, order.person.identity,
        )
    )  # fmt: skip


def wrong_accession(world: World, order: Order) -> str:
    """As it is mistyped: nobody's, or another order's."""
    others = [one.accession for one in world.orders if one.accession and one.accession != order.accession]
    return world.r.choice((*others, "A8", "A9"))


def some_study(world: World) -> str:
    known = [procedure.study for order in world.orders for procedure in order.procedures if procedure.study]
    return world.r.choice((*known, *(one.study for one in world.objects), DUMMY_STUDY))
