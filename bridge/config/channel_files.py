"""Channel files: one TOML file is one channel; every mistake in every file is reported at once with its place."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.config.channel_tables import (
    MODELS,
    STATED,
    ChannelFile,
    CorrelationFile,
    DestinationFile,
    FilterFile,
    Part,
    SenderFile,
    SourceFile,
    TransformerFile,
)
from bridge.config.stated import mistake, mistakes, toml
from bridge.core.channel import Channel, DataType, Destination, RetrieveTemplate, Source
from bridge.core.errors import ConfigError, Key, Mistake
from bridge.core.filtering import Filter
from bridge.core.model import Issuer
from bridge.core.normalisation import Normalisation, Sender, ValueRules
from bridge.core.rules import RULES, STUDY_INSTANCE_UID

# 500 objects of 512 KB were 285 MB in memory (DESIGN 7).
_PREFETCH = {DataType.HL7V2: 500, DataType.DICOM: 64}


def placed(channel: Channel, key: Key, said: str) -> str:
    """What is wrong about a key of a channel's file, with its line."""
    file = Path(channel.folder) / f"{channel.name}.toml"
    return mistake(str(file), file.read_text(), key, said)


def channel_file_schema() -> dict[str, Any]:
    """The JSON Schema of a channel file, as pydantic writes it."""
    return ChannelFile.model_json_schema()


def load_channels(place: Path) -> list[Channel]:
    """The enabled channels of a folder, by file name, or the one of a file.

    Raises:
        ConfigError: every mistake in every file, one line each; or there is no channel at all.
    """
    channels: list[Channel] = []
    found: list[str] = []
    for file in sorted(place.glob("*.toml")) if place.is_dir() else [place]:
        try:
            channels += _channel(file)
        except ConfigError as error:
            found += error.mistakes
    queues = [channel.source.queue for channel in channels]
    found += [
        f"queue {queue} is the source of several channels" for queue in sorted(set(queues)) if queues.count(queue) > 1
    ]
    if not channels and not found:
        found.append(f"{place}: there is no enabled channel")
    if found:
        raise ConfigError(*found)
    return channels


def _channel(file: Path) -> list[Channel]:
    try:
        body = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    table, text = toml(body, str(file)), body.decode()
    wrong: list[str] = []
    while key := _mapped_instance_number(table):
        wrong.append(mistake(str(file), text, key, _NO_CARRIER))
        inner: Any = table
        for part in key[:-1]:
            inner = inner[part]
        del inner[key[-1]]
    try:
        stated = ChannelFile.model_validate(table)
    except ValidationError as error:
        raise ConfigError(*wrong, *mistakes(error, str(file), MODELS, text, _use_instead)) from None
    wrong += [mistake(str(file), text, key, said) for key, said in _mistaken_tables(stated)]
    if wrong:
        raise ConfigError(*wrong)
    if not stated.enabled:
        return []
    source, retrieve = stated.source, stated.retrieve
    settle_after, hold_for = stated.correlation.settle_after, stated.correlation.hold_for
    return [
        Channel(
            name=file.stem,
            description=stated.description,
            source=Source(
                data_type=source.data_type,
                exchange=source.exchange,
                queue=source.queue,
                bindings=tuple(source.bindings),
                prefetch=source.prefetch or _PREFETCH[source.data_type],
                batch=source.batch,
                charset=source.charset,
                timezone=stated.transformer.timezone,
                bounds=_bounds(source, file.parent),
            ),
            message_types=tuple(stated.filter.message_types),
            filter=_filter(stated.filter),
            destinations=tuple(_destination(one) for one in stated.destinations),
            folder=str(file.parent),
            examples=tuple(example.example() for example in stated.examples),
            normalisation=_normalisation(stated.transformer),
            settle_after=None if settle_after is None else settle_after.total_seconds(),
            hold_for=None if hold_for is None else hold_for.total_seconds(),
            strict_issuers=stated.correlation.strict_issuers,
            no_keys=_no_keys(stated.correlation),
            change=stated.transformer.python,
            retrieve=RetrieveTemplate(retrieve.url, retrieve.ae_title) if retrieve.url or retrieve.ae_title else None,
        )
    ]


def _bounds(source: SourceFile, folder: Path) -> dict[str, Any]:
    """By their names in `Limits`; folders that are relative resolve against the channel's."""
    folders = None if source.references is None else tuple(str(folder / one) for one in source.references)
    stated = {"max_message_size": source.max_size, "max_nesting": source.max_nesting, "reference_folders": folders}
    return {name: bound for name, bound in stated.items() if bound is not None}


def _destination(stated: DestinationFile) -> Destination:
    return Destination(
        name=stated.name,
        exchange=stated.exchange,
        declare=stated.declare,
        routing_key=stated.routing_key,
        events=tuple(stated.events),
        filter=_filter(stated),
        attributes=tuple(stated.attributes),
        private=stated.private,
        compact_orders=stated.orders == "compact",
    )


def _filter(stated: FilterFile | DestinationFile) -> Filter:
    return Filter(
        accept=tuple(one.condition() for one in stated.accept), reject=tuple(one.condition() for one in stated.reject)
    )


def _normalisation(stated: TransformerFile) -> Normalisation | None:
    """The rules of a channel, the most specific sender last; None where it has none."""
    rules = _value_rules(stated)
    senders = [Sender(_when(one), _value_rules(one), number) for number, one in enumerate(stated.sender)]
    said = (
        *rules.issuers.values(),
        *rules.steps.values(),
        *rules.codes.values(),
        rules.placeholders,
        rules.date_formats,
    )
    if not (senders or rules.places or any(said)):
        return None
    return Normalisation(rules, tuple(sorted(senders, key=lambda sender: len(sender.when))))


def _value_rules(stated: TransformerFile | SenderFile) -> ValueRules:
    words = stated.placeholders
    return ValueRules(
        issuers={kind: _issuer(written) for kind, written in stated.issuers if written is not None},
        steps={kind: tuple(steps) for kind, steps in stated.normalise if steps is not None},
        placeholders=None if words is None else frozenset(word.strip().upper() for word in words),
        places={
            kind: tuple(places)
            for kind, places in (*stated.order, *stated.patient, *stated.object)
            if places is not None
        },
        codes={
            kind: {word.strip(): code for word, code in codes.items()}
            for kind, codes in stated.codes
            if codes is not None
        },
        date_formats=None if stated.date_formats is None else tuple(stated.date_formats),
    )


def _issuer(written: str) -> Issuer | None:
    """`NAMESPACE` or `NAMESPACE&OID&ISO`, as HL7's HD in a component; None for an empty text."""
    parts = [part.strip() or None for part in written.split("&")]
    return Issuer(*parts) if any(parts) else None


def _when(sender: SenderFile) -> dict[str, str]:
    return {name: value for name, value in sender.when if value is not None}


def _no_keys(stated: CorrelationFile) -> frozenset[str]:
    return frozenset(rule.name for rule in RULES) - frozenset(stated.rules) if stated.rules else frozenset()


def _mistaken_tables(stated: ChannelFile) -> Iterator[Mistake]:
    data_type, seen = stated.source.data_type, []
    known = STATED[data_type]
    for number, sender in enumerate(stated.transformer.sender):
        key: Key = ("transformer", "sender", number, "when")
        when = _when(sender)
        if not when or not set(when) <= set(known):
            yield key, f"of {data_type} name {' or '.join(known)}, or both"
        if when in seen:
            yield key, "stated twice"
        seen.append(when)
    of_another, others = _OF_ANOTHER[data_type]
    tables: dict[Key, TransformerFile | SenderFile] = {("transformer",): stated.transformer}
    tables |= {("transformer", "sender", number): sender for number, sender in enumerate(stated.transformer.sender)}
    for place, table in tables.items():
        for name in others:
            said = getattr(table, name)
            if any(one is not None for _, one in said) if isinstance(said, Part) else said:
                yield (*place, name), f"this is about {of_another}, and the channel reads {data_type}"
    correlation = stated.correlation
    for name in ("strict_issuers", "rules") if data_type is DataType.HL7V2 else ():
        if getattr(correlation, name):
            yield ("correlation", name), f"this is about {DataType.DICOM}, and the channel reads {data_type}"
    if correlation.rules is not None and STUDY_INSTANCE_UID not in correlation.rules:
        yield ("correlation", "rules"), f"name {STUDY_INSTANCE_UID} as well: objects are known by their study"
    names, declares = set[str](), dict[str, bool]()
    for number, destination in enumerate(stated.destinations):
        if destination.name in names:
            yield ("destinations", number, "name"), "another destination has this name: give each its own"
        if declares.setdefault(destination.exchange, destination.declare) is not destination.declare:
            yield ("destinations", number, "declare"), "another destination of the same exchange says otherwise"
        names.add(destination.name)


def _use_instead(key: Key) -> str:
    """What to say of a key that is none: of orders and patients only what HL7 v2 has a field for can be mapped."""
    if "transformer" in key and {"order", "patient"} & {*key[:-1]}:
        return "; what HL7 v2 has no field for, events carry as it stands in the object: destinations.attributes"
    return ""


_OF_ANOTHER = {
    DataType.HL7V2: (DataType.DICOM, ("object",)),
    DataType.DICOM: (DataType.HL7V2, ("order", "patient", "codes", "date_formats")),
}
_NO_CARRIER = (
    "HL7 v2 has no field for Instance Number (0020,0013), which is no identifier either; it is in every instance.* "
    "event, data.instance.instanceNumber (docs/channels.md#instance-number)"
)
_INSTANCE_NUMBER = {"instancenumber", "00200013"}


def _mapped_instance_number(table: dict[str, Any], place: Key = ()) -> Key | None:
    """The key by which a channel maps Instance Number, other than as an attribute that is carried or asked for."""
    for key, value in table.items():
        where = (*place, key)
        listed = value if isinstance(value, list) and where[0] == "transformer" else []
        if any(map(_is_instance_number, (key, value, *listed))):
            return where
        tables = [(where, value), *((((*where, number), one) for number, one in enumerate(listed)))]
        for inner, one in tables:
            if isinstance(one, dict) and (found := _mapped_instance_number(one, inner)):
                return found
    return None


def _is_instance_number(name: object) -> bool:
    return isinstance(name, str) and re.sub(r"[^a-z0-9]", "", name.lower()) in _INSTANCE_NUMBER
