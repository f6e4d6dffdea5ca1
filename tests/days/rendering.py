"""Each message of a day as the bytes that a RIS, a HIS, a modality or an archive sends.

All identifiers of a day begin with its prefix, seven digits, and each day has a date of its own: many days share
one database and never meet.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

import msgspec

from bridge.core.model import Identifier, Issuer, LinkDecision, OrderReference, Unmerge
from bridge.core.ports import Inbound
from bridge.person import ANYTHING
from tests.days.messages import (
    DELETED,
    DICOM,
    HL7,
    PLACEHOLDERS,
    Appointment,
    Decided,
    Group,
    Link,
    Merge,
    Number,
    ObjectMessage,
    OrderMessage,
    Patient,
    PatientMessage,
    PersonLink,
    Procedure,
    RejectionNote,
    Report,
    Request,
)

ROOT = "1.2.826.0.1"
_FIRST_DAY = datetime(1990, 1, 1)  # noqa: DTZ001 times without an offset are UTC to the shipped channel
_OIDS = {"A": "1.2.3.4.1", "B": "1.2.3.4.2"}
_CT_IMAGE, _KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.59"

Element = dict[str, Any]


def inbound(message: HL7 | DICOM, prefix: str) -> Inbound:
    """The message as the bridge receives it."""
    if isinstance(message, ObjectMessage | RejectionNote):
        body = msgspec.json.encode(_Header(message, prefix).elements)
        return Inbound("images", body, content_type="application/dicom+json")
    segments = _Segments(message, prefix).lines
    return Inbound("orders", "".join(f"{line}\r" for line in segments).encode(), content_type="application/hl7-v2")


def decision(message: Decided, prefix: str) -> LinkDecision | Unmerge:
    """What a person decides as the bridge records it; who links overrides whatever speaks against it."""
    at = (_midnight(prefix) + timedelta(seconds=message.time)).isoformat() + "Z"
    if not isinstance(message, PersonLink):
        pair = [_identifier(prefix, number) for number in (message.patient, message.prior)]
        return Unmerge(at, "ada", "looked at both", message.kind, *pair)
    order = OrderReference(
        id="",
        filler_order_number=_identifier(prefix, message.filler) if message.filler else None,
        placer_order_number=_identifier(prefix, message.placer) if message.placer else None,
        requested_procedure_id=message.requested_procedure or None,
    )
    study = uid(prefix, message.study)
    return LinkDecision(at, "ada", "looked at both", message.kind, study, order, tuple(sorted(ANYTHING)))


def _identifier(prefix: str, number: Number) -> Identifier:
    return Identifier(value(prefix, number.value), "", Issuer(number.site) if number.site else None)


def value(prefix: str, short: str) -> str:
    """An identifier of a day as it is sent."""
    return short if not short or short in PLACEHOLDERS else f"{prefix}{short}"


def short(prefix: str, sent: str) -> str:
    """An identifier of a day as the oracle knows it."""
    return sent.removeprefix(f"{ROOT}.{prefix}.").removeprefix(prefix)


def uid(prefix: str, number: str) -> str:
    return f"{ROOT}.{prefix}.{number}" if number else ""


def site_of(namespace: str | None, universal: str | None) -> str | None:
    """The site that an issuer names in any of its forms."""
    return namespace or next((site for site, oid in _OIDS.items() if oid == universal), None)


class _Segments:
    """The segments of an HL7 message. Issuers are a namespace, a whole HD, or for EI an HD glued into its namespace."""

    def __init__(self, message: HL7, prefix: str) -> None:
        self.prefix = prefix
        self.issuers = message.time // 60 % 3
        self.lines: list[str] = []
        getattr(self, f"_{type(message).__name__.lower()}")(message)

    def _ordermessage(self, message: OrderMessage) -> None:
        event = "ORM^O01" if message.kind == "ORM" else "OMI^O23"
        self._header(message, event, message.sent)
        if message.patient != Patient():
            self._patient(message.patient)
        start = self._time(message.start) if message.start is not None else ""
        ordered_at = self._time(message.time) if message.sent is not None else ""
        for group in message.groups:
            self._group(group, message.kind == "OMI", start, ordered_at)

    def _group(self, group: Group, with_ipc: bool, start: str, ordered_at: str) -> None:
        placer, filler, replaced = map(self._ei, (group.placer, group.filler, group.replaced_filler))
        parent = f"^{replaced.replace('^', '&')}" if replaced else ""
        timing = f"^^^{start}" if start else ""
        self.lines.append(f"ORC|{group.control}|{placer}|{filler}||{group.status}||{timing}|{parent}|{ordered_at}")
        first = group.procedures[0]
        if with_ipc:
            numbers = f"{self._ei(group.other_accession)}||||||"
        else:
            numbers = f"{self._ei(first.accession)}|{first.requested_procedure}|{first.step}||||{first.modality}"
        self.lines.append(f"OBR|1|{placer}|{filler}|CTABD^CT abdomen^L||||||||||||||{numbers}")
        if with_ipc:
            self.lines += [self._ipc(one) for one in group.procedures if one != Procedure()]
        study = group.other_study if with_ipc else first.study
        if study:
            self.lines.append(f"ZDS|{self._uid(study)}^MAIN^Application^DICOM")

    def _ipc(self, one: Procedure) -> str:
        step = f"{one.requested_procedure}|{self._uid(one.study)}|{one.step}|{one.modality}"
        return f"IPC|{self._ei(one.accession)}|{step}"

    def _patientmessage(self, message: PatientMessage) -> None:
        self._header(message, f"ADT^{message.event}")
        self.lines.append(f"EVN|{message.event}|{self._time(message.time)}")
        self._patient(message.patient)

    def _merge(self, message: Merge) -> None:
        self._header(message, f"ADT^{message.event}")
        self._patient(message.patient)
        self.lines.append(f"MRG|{'~'.join(map(self._cx, message.prior))}||||||{'~'.join(message.prior_names)}")

    def _link(self, message: Link) -> None:
        self._header(message, f"ADT^{message.event}")
        self._patient(message.patient)
        self._patient(message.other)

    def _appointment(self, message: Appointment) -> None:
        self._header(message, f"SIU^{message.event}")
        placers, fillers = ("~".join(map(self._ei, numbers)) for numbers in (message.placers, message.fillers))
        blank = "|" * 15
        self.lines.append(f"SCH|1|1|||||||||^^^{self._time(message.start)}{blank}{placers}|{fillers}")
        self._patient(message.patient)

    def _report(self, message: Report) -> None:
        self._header(message, "ORU^R01")
        self._patient(message.patient)
        filler, accession = self._ei(message.filler), self._ei(message.accession)
        status = "|" * 7
        self.lines.append(f"OBR|1||{filler}|CTABD^CT abdomen^L||||||||||||||{accession}{status}F")
        if message.study:
            self.lines.append(f"OBX|1|ST|110180^Study Instance UID^DCM||{self._uid(message.study)}||||||F")

    def _header(self, message: HL7, event: str, sent: int | None = None) -> None:
        at = self._time(message.time if sent is None else sent)
        charset = "||||||UNICODE UTF-8"
        control_id = crc32(repr(message).encode())
        self.lines.append(f"MSH|^~\\&|RIS|{message.facility}|BRIDGE|MAIN|{at}||{event}|{control_id}|P|2.5.1{charset}")

    def _patient(self, patient: Patient) -> None:
        numbers, names = "~".join(map(self._cx, patient.numbers)), "~".join(patient.names)
        self.lines.append(f"PID|1||{numbers}||{names}||{patient.birth_date}|{patient.sex}")

    def _cx(self, number: Number) -> str:
        issuer = self._issuer(number.site, "&")
        return f"{value(self.prefix, number.value)}^^^{issuer}^{number.type_code or ''}".rstrip("^")

    def _ei(self, number: Number | None) -> str:
        if number is None:
            return ""
        issuer = self._issuer(number.site, "&" if self.issuers == 2 else "^")
        return f"{value(self.prefix, number.value)}^{issuer}".rstrip("^")

    def _issuer(self, site: str | None, separator: str) -> str:
        if not site:
            return ""
        return separator.join((site, _OIDS[site], "ISO")) if self.issuers else site

    def _time(self, seconds: int) -> str:
        return _dtm(self.prefix, seconds)

    def _uid(self, number: str) -> str:
        return DELETED if number == DELETED else uid(self.prefix, number)


class _Header:
    """A DICOM header in the DICOM JSON Model (PS3.18 F)."""

    def __init__(self, message: DICOM, prefix: str) -> None:
        self.prefix = prefix
        self.whole_issuers = int(message.instance[1:]) % 2 == 0
        self.elements: Element = {
            "00080018": _ui(uid(prefix, f"8.{message.instance[1:]}")),
            "0020000D": _ui(uid(prefix, message.study)),
            "0020000E": _ui(uid(prefix, f"7.{message.study}")),
            "00080020": {"vr": "DA", "Value": [f"{_midnight(prefix):%Y%m%d}"]},
            "00200013": {"vr": "IS", "Value": [1]},
        }
        self._patient(message.patient)
        if isinstance(message, ObjectMessage):
            self._object(message)
        else:
            self._note(message)

    def _object(self, message: ObjectMessage) -> None:
        elements = self.elements
        elements["00080016"] = _ui(_CT_IMAGE)
        elements["00080060"] = {"vr": "CS", "Value": [message.modality]}
        elements |= self._numbers(message.accession, message.placer, message.filler)
        if message.requests:
            sequence = "0040A370" if message.modality == "SR" else "00400275"
            elements[sequence] = _sq([self._request(one) for one in message.requests])
        if message.identity_removed:
            elements["00120062"] = {"vr": "CS", "Value": ["YES"]}
        if message.modified is not None:
            modified = {"vr": "DT", "Value": [f"{_dtm(self.prefix, message.modified)}+0000"]}
            elements["04000561"] = _sq([{"04000562": modified}])

    def _note(self, message: RejectionNote) -> None:
        elements = self.elements
        elements["00080016"] = _ui(_KEY_OBJECT_SELECTION)
        elements["00080060"] = {"vr": "CS", "Value": ["KO"]}
        title = {"00080100": _sh(message.code), "00080102": _sh("DCM"), "00080104": {"vr": "LO", "Value": ["Rejected"]}}
        elements["0040A043"] = _sq([title])
        objects = [
            {"00081150": _ui(_CT_IMAGE), "00081155": _ui(uid(self.prefix, f"8.{instance[1:]}"))}
            for instance in message.rejected
        ]
        series = {"0020000E": self.elements["0020000E"], "00081199": _sq(objects)}
        elements["0040A375"] = _sq([{"0020000D": self.elements["0020000D"], "00081115": _sq([series])}])

    def _patient(self, patient: Patient) -> None:
        elements = self.elements
        if patient.numbers:
            first, *others = patient.numbers
            elements |= self._patient_id(first)
            if others:
                elements["00101002"] = _sq([self._patient_id(other) for other in others])
        if patient.names:
            elements["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": name} for name in patient.names]}
        if patient.birth_date:
            elements["00100030"] = {"vr": "DA", "Value": [patient.birth_date]}
        if patient.sex:
            elements["00100040"] = {"vr": "CS", "Value": [patient.sex]}

    def _patient_id(self, number: Number) -> Element:
        element: Element = {"00100020": {"vr": "LO", "Value": [value(self.prefix, number.value)]}}
        if number.site:
            element["00100021"] = {"vr": "LO", "Value": [number.site]}
            if self.whole_issuers:
                element["00100024"] = _sq([self._designator(number.site)])
        return element

    def _request(self, request: Request) -> Element:
        element = self._numbers(request.accession, request.placer, request.filler)
        if request.study:
            element["0020000D"] = _ui(uid(self.prefix, request.study))
        if request.requested_procedure:
            element["00401001"] = _sh(request.requested_procedure)
        if request.step:
            element["00400009"] = _sh(request.step)
        return element

    def _numbers(self, accession: Number | None, placer: Number | None, filler: Number | None) -> Element:
        stated = (
            ("00080050", "00080051", "SH", accession),
            ("00402016", "00400026", "LO", placer),
            ("00402017", "00400027", "LO", filler),
        )
        element: Element = {}
        for tag, issuer, vr, number in stated:
            if number:
                element[tag] = {"vr": vr, "Value": [value(self.prefix, number.value)]}
                if number.site:
                    element[issuer] = _sq([self._designator(number.site)])
        return element

    def _designator(self, site: str) -> Element:
        """An item of the HL7v2 Hierarchic Designator Macro (PS3.3 10.17)."""
        element: Element = {"00400031": {"vr": "UT", "Value": [site]}}
        if self.whole_issuers:
            element["00400032"] = {"vr": "UT", "Value": [_OIDS[site]]}
            element["00400033"] = {"vr": "CS", "Value": ["ISO"]}
        return element


def _midnight(prefix: str) -> datetime:
    return _FIRST_DAY + timedelta(days=int(prefix) % 20_000)


def _dtm(prefix: str, seconds: int) -> str:
    return (_midnight(prefix) + timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%S")


def _ui(sent: str) -> Element:
    return {"vr": "UI", "Value": [sent]}


def _sh(sent: str) -> Element:
    return {"vr": "SH", "Value": [sent]}


def _sq(items: Sequence[Element]) -> Element:
    return {"vr": "SQ", "Value": list(items)}
