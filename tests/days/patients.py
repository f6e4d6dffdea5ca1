"""Patients of a made-up day: registered, unknown, merged, linked, and by people unmerged."""

from dataclasses import replace

from tests.days.messages import Link, Merge, Patient, PatientMessage, PersonUnmerge
from tests.days.ordering import group_of, new_order, send
from tests.days.world import SITES, TEMPORARY_NAME, World


def patient_update(world: World) -> None:
    person, site = world.r.choice(world.people), world.r.choice(SITES)
    if world.chance(0.3):  # married, or at last spelled as it should be
        person.name = f"{world.r.choice(('Doe', 'Roe', 'New'))}^{person.name.partition('^')[2]}"
    patient = world.registered(person, site, world.chance(0.3))
    if not patient.numbers:
        return
    event = world.r.choice(("A04", "A08", "A08", "A28", "A31"))
    world.messages.append(PatientMessage(world.time(), site, event, patient, person.identity))


def trauma(world: World) -> None:
    """Somebody comes in unknown, under a temporary number that others may have had before."""
    person, site = world.r.choice(world.people), world.r.choice(SITES)
    person.temporary = world.hl7(world.r.choice(("T1", "T1", "T2")), site)
    order = new_order(world, person, site)
    order.under_temporary = True
    send(world, world.registered(person, site, temporary=True), [order], [group_of(world, order, "NW")])


def merge(world: World) -> None:
    """Of a temporary number, of two sites' numbers; sometimes reversed, sometimes of the wrong people."""
    person, site = world.r.choice(world.people), world.r.choice(SITES)
    into = world.registered(person, site)
    if not into.numbers:
        return
    chance = world.r.random()
    known_as = [other.temporary for other in world.people if other.temporary]
    if chance < 0.45 and known_as:
        prior = (person.temporary or world.r.choice(known_as),)
    elif chance < 0.7:
        other = next(one for one in SITES if one != site)
        prior = (world.hl7(person.numbers[other], other),)
    elif chance < 0.85:
        prior = (world.hl7("M9", site),)  # an old number of nobody seen so far
        if world.chance(0.5):
            into, prior = Patient(prior, into.names, into.birth_date), into.numbers[:1]
    else:
        mistaken = world.r.choice(world.people)
        prior = (world.hl7(mistaken.numbers[site], site),)
    if prior[0].value == into.numbers[0].value and world.chance(0.9):
        return
    names = (TEMPORARY_NAME,) if world.chance(0.2) else ()
    event = world.r.choice(("A40", "A40", "A40", "A47", "A18", "A34", "A36"))
    world.messages.append(Merge(world.time(), site, event, into, prior, names, person.identity))
    if world.chance(0.08):
        world.messages.append(replace(world.messages[-1], time=world.time()))


def link(world: World) -> None:
    """A24 between two sites' records of one person, or of two by mistake; A37 ends it."""
    linked = [message for message in world.messages if isinstance(message, Link) and message.event == "A24"]
    if linked and world.chance(0.5):
        message = world.r.choice(linked)
        pair = (message.patient, message.other) if world.chance(0.5) else (message.other, message.patient)
        world.messages.append(replace(message, time=world.time(), event="A37", patient=pair[0], other=pair[1]))
        return
    person = world.r.choice(world.people)
    other = person if world.chance(0.7) else world.r.choice(world.people)
    one, two = world.registered(person, "A"), world.registered(other, "B")
    if one.numbers and two.numbers:
        world.messages.append(Link(world.time(), "A", "A24", one, two, person.identity))


def unmerge(world: World) -> None:
    joined = [message for message in world.messages if isinstance(message, Merge | Link)]
    if not joined:
        return
    message = world.r.choice(joined)
    prior = message.prior if isinstance(message, Merge) else message.other.numbers
    kind = world.r.choice(("unmerge", "unmerge", "undo"))
    world.messages.append(PersonUnmerge(world.time(), kind, message.patient.numbers[0], prior[0]))
