"""What is true in a made-up hospital, and how its messages say it: people, orders, objects, numbers and time."""

from dataclasses import dataclass, field
from random import Random

from tests.days.messages import Message, Number, ObjectMessage, OrderMessage, Patient, Procedure

SITES = ("A", "B")
START = 6 * 3600
TEMPORARY_NAME, TEMPORARY_BIRTH_DATE = "Trauma^One", "19550505"
_NAMES = ("Doe^Jane", "Doe^Ann", "Müller^Zoë", "Roe^Max")
MISTYPED = {"Doe^Jane": "Deo^Jane", "Doe^Ann": "Doe^Anna", "Müller^Zoë": "Müler^Zoë", "Roe^Max": "Row^Max"}
BIRTH_DATES = ("19700101", "19700102", "20261122")


@dataclass
class Person:
    """`numbers` by site; `temporary` is one given before anybody knew who it is."""

    identity: int
    name: str
    birth_date: str
    sex: str
    numbers: dict[str, str]
    temporary: Number | None = None


@dataclass
class Order:
    """What is true of an order, whatever messages say of it."""

    person: Person
    site: str
    kind: str
    placer: str
    filler: str  # empty: the site numbers accessions alone, or only the placer has spoken
    accession: str
    procedures: list[Procedure]
    under_temporary: bool = False
    patient: Patient = field(default_factory=Patient)  # as it was last stated


class World:
    """One day; `hl7_issuers` and `dicom_issuers` are how often a message states them."""

    def __init__(self, r: Random) -> None:
        self.r = r
        self.hl7_issuers = r.choice((1.0, 1.0, 1.0, 0.0, 0.8))
        self.with_order_issuers = {site: r.random() < 0.8 for site in SITES}
        self.dicom_issuers = r.choice((0.0, 0.3, 1.0))
        self.messages: list[Message] = []
        self.clock = START
        self.counts: dict[str, int] = {}
        self.orders: list[Order] = []
        self.objects: list[ObjectMessage] = []
        self.people = self._people()

    def _people(self) -> list[Person]:
        people: list[Person] = []
        free = {site: ["M1", "M2", "M3", "M4"] for site in SITES}
        for identity in range(self.r.randint(2, 4)):
            numbers = {}
            for site in SITES:
                numbers[site] = self._take(free[site])
            name, birth_date = self.r.choice(_NAMES), self.r.choice(BIRTH_DATES)
            if people and self.chance(0.2):  # a twin
                birth_date = people[-1].birth_date
                name = f"{people[-1].name.partition('^')[0]}^{self.r.choice(('Tom', 'Tim', 'Baby'))}"
            if any((name, birth_date) == (other.name, other.birth_date) for other in people):
                name = f"Person{identity}^Some"
            people.append(Person(identity, name, birth_date, self.r.choice("FMO"), numbers))
        return people

    def _take(self, free: list[str]) -> str:
        taken = self.r.choice(free)
        free.remove(taken)
        return taken

    def chance(self, probability: float) -> bool:
        return self.r.random() < probability

    def next(self, kind: str, site: str = "") -> str:
        """Numbers of two sites clash, but for those of a site that never states who issued them."""
        number = self.counts[kind + site] = self.counts.get(kind + site, 0) + 1
        return f"{kind}{number}" + (site if site and not self.with_order_issuers[site] else "")

    def time(self) -> int:
        """Later than all before, mostly."""
        self.clock += self.r.randint(1, 50) * 60
        chance = self.r.random()
        if chance < 0.04:
            return self.clock - 60 * self.r.randint(0, 200) if self.clock > START + 12000 else self.clock
        if chance < 0.06:
            times = [message.time for message in self.messages if isinstance(message, OrderMessage)]
            return self.r.choice(times) if times else self.clock
        return self.clock

    def hl7(self, value: str, site: str, type_code: str | None = None) -> Number:
        """A patient's number, whose issuer is left out now and then."""
        return Number(value, site if self.chance(self.hl7_issuers) else None, type_code)

    def of_order(self, value: str, site: str) -> Number | None:
        """An order's number, whose issuer a site states always or never; none where there is no number."""
        return Number(value, site if self.with_order_issuers[site] else None) if value else None

    def dicom(self, value: str, site: str) -> Number | None:
        return Number(value, site if self.chance(self.dicom_issuers) else None) if value else None

    def registered(self, person: Person, site: str, temporary: bool = False) -> Patient:
        """A patient as HL7 messages of a site state it."""
        if temporary and person.temporary:
            return Patient((person.temporary,), (TEMPORARY_NAME,), TEMPORARY_BIRTH_DATE)
        numbers = [self.hl7(person.numbers[site], site, self.r.choice((None, "MR")))]
        if self.chance(0.1):
            other = next(one for one in SITES if one != site)
            numbers.append(Number(person.numbers[other], other, "PI"))
        if self.chance(0.1):
            numbers.append(Number(self.r.choice(("V1", "V2")), site, "VN"))
        names, birth_date = (person.name,), person.birth_date
        if self.chance(0.06):
            names = (MISTYPED.get(person.name, person.name),)
        if self.chance(0.04):
            names = ()
        if self.chance(0.05):
            birth_date = self.r.choice(("", person.birth_date[:4], "19000101"))
        if self.chance(0.03):
            numbers = []
        return Patient(tuple(numbers), names, birth_date, person.sex)
