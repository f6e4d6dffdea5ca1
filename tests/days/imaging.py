"""Objects of a made-up day: as ordered, mistyped, corrected, rejected, and by people linked."""

from dataclasses import replace

from tests.days.messages import Number, ObjectMessage, Patient, PersonLink, Procedure, RejectionNote, Request
from tests.days.ordering import DUMMY_STUDY, some_study, wrong_accession
from tests.days.world import BIRTH_DATES, MISTYPED, SITES, TEMPORARY_BIRTH_DATE, TEMPORARY_NAME, Order, Person, World

_RESPELLED = {"Doe^Jane": "DOE^JANE^Q", "Doe^Ann": "doe^ann", "Müller^Zoë": "Muller^Zoe", "Roe^Max": "ROE^Max"}
_REJECTIONS = ("113001", "113037", "113038", "113039")  # PS3.16 CID 7010


def images(world: World) -> None:
    """Objects of one study: as ordered, or with what modalities and the people at them do to a header."""
    order = world.r.choice(world.orders)
    procedure = world.r.choice(order.procedures)
    chance = world.r.random()
    study = procedure.study if procedure.study and chance < 0.6 else world.next("")
    if 0.6 <= chance < 0.64:
        study = DUMMY_STUDY
    elif 0.64 <= chance < 0.68:
        study = some_study(world)
    accession, requests = world.dicom(order.accession, order.site), _requests(world, order, procedure)
    chance = world.r.random()
    if chance < 0.15:
        accession = None
    elif chance < 0.27:
        accession = world.dicom(wrong_accession(world, order), order.site)
    if requests and len(requests) > 1 and world.chance(0.6):
        accession = None
    placer = filler = None
    if world.chance(0.1):
        placer = world.dicom(order.placer, order.site)
        filler = world.dicom(order.filler, order.site) if world.chance(0.6) else None
    true_person = order.person if world.chance(0.95) else world.r.choice(world.people)
    stated = ObjectMessage(
        instance="",
        study=study,
        patient=_scanned(world, true_person, order),
        accession=accession,
        requests=requests,
        placer=placer,
        filler=filler,
        identity_removed=world.chance(0.03),
        modality=world.r.choice((procedure.modality, "SR")),
        modified=None,
        true_person=true_person.identity,
    )
    for _ in range(world.r.choice((1, 1, 2))):
        if world.chance(0.1):
            stated = replace(stated, patient=_scanned(world, true_person, order))
        _add(world, replace(stated, instance=world.next("O")))


def _add(world: World, message: ObjectMessage) -> None:
    world.objects.append(message)
    world.messages.append(message)


def _requests(world: World, order: Order, procedure: Procedure) -> tuple[Request, ...]:
    chance = world.r.random()
    if chance < 0.55:
        return ()
    items = [_request(world, order, procedure)]
    if chance > 0.8:  # one study for several orders, or for several procedures of one
        other = world.r.choice([one for one in world.orders if one.person is order.person])
        items.append(_request(world, other, world.r.choice(other.procedures)))
    return tuple(items)


def _request(world: World, order: Order, procedure: Procedure) -> Request:
    return Request(
        study=procedure.study if world.chance(0.3) else "",
        accession=world.dicom(order.accession, order.site) if world.chance(0.6) else None,
        requested_procedure=procedure.requested_procedure if world.chance(0.9) else "R2",
        step=procedure.step if world.chance(0.7) else "",
        placer=world.dicom(order.placer, order.site) if world.chance(0.1) else None,
        filler=world.dicom(order.filler, order.site) if world.chance(0.15) else None,
    )


def _scanned(world: World, person: Person, order: Order) -> Patient:
    """A patient as a modality states it."""
    names: tuple[str, ...] = (person.name,)
    birth_date, value = person.birth_date, person.numbers[order.site]
    chance = world.r.random()
    if person.temporary and (order.under_temporary or chance < 0.1):
        names, birth_date, value = (TEMPORARY_NAME,), TEMPORARY_BIRTH_DATE, person.temporary.value
    if chance < 0.06:
        value = ""
    elif chance < 0.1:
        value = world.r.choice(("M1", "M2", "M9", "0"))
    elif chance < 0.14:
        value = person.numbers[world.r.choice(SITES)]
    if world.chance(0.1):
        names = (world.r.choice((MISTYPED, _RESPELLED)).get(person.name, person.name),)
    if world.chance(0.06):
        names = ()
    if world.chance(0.1):
        birth_date = world.r.choice(("", "", world.r.choice(BIRTH_DATES)))
    numbers = (world.dicom(value, order.site),) if value else ()
    if world.chance(0.06):
        other = world.r.choice(SITES)
        numbers += (world.dicom(person.numbers[other], other),)
    return Patient(tuple(number for number in numbers if number), names, birth_date, person.sex)


def corrected_object(world: World) -> None:
    """The same SOP Instance UID with another header, and the time of its correction."""
    if not world.objects:
        return
    known = world.r.choice(world.objects)
    versions = [one for one in world.objects if one.instance == known.instance]
    latest = max((one.modified or 0 for one in versions), default=0)
    order = world.r.choice(world.orders)
    chance = world.r.random()
    if chance < 0.35:
        changed = replace(known, patient=_scanned(world, order.person, order), true_person=order.person.identity)
    elif chance < 0.65:
        changed = replace(known, accession=world.dicom(order.accession, order.site))
    elif chance < 0.85:
        changed = replace(known, study=some_study(world))
    else:
        changed = replace(known, requests=_requests(world, order, order.procedures[0]))
    _add(world, replace(changed, modified=latest + world.r.randint(1, 100) * 60))


def rejection(world: World) -> None:
    if not world.objects:
        return
    known = world.r.choice(world.objects)
    together = {one.instance for one in world.objects if one.study == known.study}
    rejected = together if world.chance(0.6) else {known.instance}
    world.messages.append(
        RejectionNote(
            instance=world.next("O"),
            study=known.study,
            code=world.r.choice(_REJECTIONS),
            rejected=tuple(sorted(rejected)),
            patient=known.patient,
            true_person=known.true_person,
        )
    )


def person_link(world: World) -> None:
    if not world.objects:
        return
    earlier = [message for message in world.messages if isinstance(message, PersonLink)]
    if earlier and world.chance(0.3):
        kind = world.r.choice(("undo", "undo", "link", "unlink"))
        world.messages.append(replace(world.r.choice(earlier), time=world.time(), kind=kind))
        return
    order = world.r.choice(world.orders)
    world.messages.append(
        PersonLink(
            time=world.time(),
            kind=world.r.choice(("link", "link", "unlink")),
            study=world.r.choice(world.objects).study,
            filler=Number(order.filler, order.site) if order.filler else None,
            placer=Number(order.placer, order.site) if order.placer else None,
            requested_procedure=order.procedures[0].requested_procedure,
        )
    )
