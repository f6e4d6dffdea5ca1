"""Settings and channel files: read once, checked as a whole, every mistake reported with its place."""

import os
import re
import tomllib
from collections.abc import Sequence
from datetime import timedelta
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import platformdirs
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from bridge.core.channel import (
    DEFAULT_ATTRIBUTES,
    READ_MESSAGES,
    Channel,
    DataType,
    Destination,
    Example,
    Source,
    covers,
)
from bridge.core.errors import ConfigError
from bridge.core.events import EVENTS
from bridge.core.limits import DEFAULT_LIMITS, Limits

_APPLICATION = "hl7-dicom-bridge"
_SECRETS = ("amqp_url", "database_url")  # may also stand in a file that BRIDGE_…_FILE names
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def _duration(text: object) -> object:
    """`90s`, `5m`, `24h`, `7d` as a time span."""
    if isinstance(text, str) and text[:-1].strip().isdigit() and text[-1:] in _UNITS:
        return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    if isinstance(text, timedelta):
        return text
    raise ValueError("write a whole number and a unit, such as 60s, 5m, 24h or 7d")


Duration = Annotated[timedelta, BeforeValidator(_duration)]


def _size(text: object) -> object:
    """`4194304`, `64KiB`, `4MiB`, `1GiB` in bytes."""
    if isinstance(text, str) and text[-3:] in _BYTES and text[:-3].strip().isdigit():
        return int(text[:-3]) * _BYTES[text[-3:]]
    return text


def _folders(stated: object) -> object:
    """Several in one environment variable are separated as in PATH."""
    return [folder for folder in stated.split(os.pathsep) if folder] if isinstance(stated, str) else stated


Bound = Annotated[int, Field(ge=1)]
Size = Annotated[int, BeforeValidator(_size), Field(ge=1)]


class Settings(BaseModel):
    """The settings (DESIGN 3.2); each is also an environment variable, `BRIDGE_` and its name in capitals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amqp_url: SecretStr = SecretStr("amqp://guest:guest@localhost:5672/%2F")
    amqp_declare: Literal["create", "check"] = "create"
    database_url: SecretStr = SecretStr("sqlite:///bridge.db")
    channels: Path = Path("channels")
    settle_after: Duration = timedelta(seconds=60)
    hold_for: Duration = timedelta(hours=24)
    site: str = Field("default", pattern=r"^[A-Za-z0-9._-]+$")
    log_format: Literal["text", "json"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    reference_folders: Annotated[tuple[Path, ...], BeforeValidator(_folders)] = ()
    max_message_size: Size = DEFAULT_LIMITS.max_message_size
    max_inflated_size: Size = DEFAULT_LIMITS.max_inflated_size
    max_field_size: Size = DEFAULT_LIMITS.max_field_size
    max_segments: Bound = DEFAULT_LIMITS.max_segments
    max_fields: Bound = DEFAULT_LIMITS.max_fields
    max_repetitions: Bound = DEFAULT_LIMITS.max_repetitions
    max_elements: Bound = DEFAULT_LIMITS.max_elements
    max_nesting: Annotated[Bound, Field(le=200)] = DEFAULT_LIMITS.max_nesting  # Python's own bound is near 1,000
    max_orders: Bound = DEFAULT_LIMITS.max_orders
    max_messages: Bound = DEFAULT_LIMITS.max_messages

    @property
    def limits(self) -> Limits:
        """What one message may make the bridge read."""
        bounds = {name: getattr(self, name) for name in Limits.__struct_fields__}
        return Limits(**bounds | {"reference_folders": tuple(str(folder) for folder in self.reference_folders)})


def load_settings(config: Path | None = None) -> tuple[Settings, Path | None]:
    """The settings and the file they came from: the environment wins over the file, the file over the defaults.

    The file is `config`, else `BRIDGE_CONFIG`, else the first there is of `./bridge.toml` and `bridge.toml` in the
    user's and the system's configuration folder. Relative paths in it resolve against it.

    Raises:
        ConfigError: every mistake, one line each.
    """
    file = _settings_file(config)
    stated = _from_file(file) if file else {}
    try:
        return Settings.model_validate(stated | _from_environment()), file
    except ValidationError as error:
        raise ConfigError(*_mistakes(error, str(file or "environment"))) from None


def _settings_file(config: Path | None) -> Path | None:
    named = config or (Path(os.environ["BRIDGE_CONFIG"]) if os.environ.get("BRIDGE_CONFIG") else None)
    if named:
        if not named.is_file():
            raise ConfigError(f"there is no settings file {named}")
        return named
    folders = (Path(), platformdirs.user_config_path(_APPLICATION), platformdirs.site_config_path(_APPLICATION))
    return next((folder / "bridge.toml" for folder in folders if (folder / "bridge.toml").is_file()), None)


def _from_file(file: Path) -> dict[str, Any]:
    stated = _toml(file.read_bytes(), str(file))
    if isinstance(stated.get("channels"), str):
        stated["channels"] = file.parent / stated["channels"]
    if isinstance(stated.get("reference_folders"), list):
        stated["reference_folders"] = [file.parent / str(folder) for folder in stated["reference_folders"]]
    prefix, relative, database = str(stated.get("database_url", "")).partition("sqlite:///")
    if relative and not prefix and not database.startswith("/"):
        stated["database_url"] = f"sqlite:///{file.parent.resolve() / database}"
    return stated


def _from_environment() -> dict[str, Any]:
    stated: dict[str, Any] = {}
    for name in Settings.model_fields:
        variable = f"BRIDGE_{name.upper()}"
        if os.environ.get(variable):
            stated[name] = os.environ[variable]
        elif name in _SECRETS and (secret := os.environ.get(f"{variable}_FILE")):
            try:
                stated[name] = Path(secret).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"{variable}_FILE: {error.strerror}") from None
    return stated


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("write the name of a time zone, such as Europe/Berlin") from None
    return name


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _SourceFile(_Part):
    type: Literal["rabbitmq"] = "rabbitmq"
    data_type: DataType
    exchange: str = "bridge.in"
    queue: str = Field(min_length=1, max_length=255)
    bindings: list[str] = Field(min_length=1)
    prefetch: int | None = Field(None, ge=1, le=65535)
    charset: str = "ISO-8859-1"


class _FilterFile(_Part):
    message_types: list[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2}\^[A-Z][A-Z0-9]{2}$")]] = list(READ_MESSAGES)


class _TransformerFile(_Part):
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"


def _event_pattern(pattern: str) -> str:
    if not any(covers(pattern, name) for name in EVENTS):
        raise ValueError(f"no event has this name; there are {', '.join(EVENTS)}")
    return pattern


class _DestinationFile(_Part):
    name: str = "events"
    type: Literal["rabbitmq"] = "rabbitmq"
    exchange: str = "bridge.events"
    events: list[Annotated[str, AfterValidator(_event_pattern)]] = ["instance.*", "study.*", "message.rejected"]
    attributes: list[str] = list(DEFAULT_ATTRIBUTES)


class _ExampleFile(_Part):
    name: str
    file: str
    outcome: Literal["TRANSFORMED", "FILTERED", "ERROR"] = "TRANSFORMED"
    orders: int | None = Field(None, ge=0)
    code: str | None = None


class _ChannelFile(_Part):
    description: str = ""
    enabled: bool = True
    source: _SourceFile
    filter: _FilterFile = _FilterFile()
    transformer: _TransformerFile = _TransformerFile()
    destinations: list[_DestinationFile] = Field(default=[_DestinationFile()], min_length=1, max_length=1)
    examples: list[_ExampleFile] = []


# 500 objects of 512 KB were 285 MB in memory (DESIGN 7).
_PREFETCH = {DataType.HL7V2: 500, DataType.DICOM: 64}


def starter_channels() -> Path:
    """The folder of the channels that are shipped with the package."""
    packaged = Path(str(files("bridge"))) / "starter_channels"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "channels"


def channels_place(settings: Settings) -> Path:
    """The folder of the settings, or that of the shipped channels where there is none."""
    return settings.channels if settings.channels.exists() else starter_channels()


def load_channels(place: Path) -> list[Channel]:
    """The enabled channels of a folder, by file name, or the one of a file.

    Raises:
        ConfigError: every mistake in every file, one line each; or there is no channel at all.
    """
    channels: list[Channel] = []
    mistakes: list[str] = []
    for file in sorted(place.glob("*.toml")) if place.is_dir() else [place]:
        try:
            channels += _channel(file)
        except ConfigError as error:
            mistakes += error.mistakes
    queues = [channel.source.queue for channel in channels]
    mistakes += [
        f"queue {queue} is the source of several channels" for queue in sorted(set(queues)) if queues.count(queue) > 1
    ]
    if not channels and not mistakes:
        mistakes.append(f"{place}: there is no enabled channel")
    if mistakes:
        raise ConfigError(*mistakes)
    return channels


def _channel(file: Path) -> list[Channel]:
    try:
        table = _toml(file.read_bytes(), str(file))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    if key := _mapped_instance_number(table):
        raise ConfigError(f"{file}: {key}: {_NO_CARRIER}")
    try:
        stated = _ChannelFile.model_validate(table)
    except ValidationError as error:
        raise ConfigError(*_mistakes(error, str(file))) from None
    if not stated.enabled:
        return []
    source, destination = stated.source, stated.destinations[0]
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
                charset=source.charset,
                timezone=stated.transformer.timezone,
            ),
            message_types=tuple(stated.filter.message_types),
            destination=Destination(
                exchange=destination.exchange,
                events=tuple(destination.events),
                attributes=tuple(destination.attributes),
            ),
            folder=str(file.parent),
            examples=tuple(Example(**example.model_dump()) for example in stated.examples),
        )
    ]


_NO_CARRIER = (
    "HL7 v2 has no field for Instance Number (0020,0013); it is in every instance.* event, "
    "data.instance.instanceNumber (docs/channels.md#instance-number)"
)
_INSTANCE_NUMBER = {"instancenumber", "00200013"}


def _mapped_instance_number(table: dict[str, Any], place: str = "") -> str | None:
    """The key by which a channel maps Instance Number, other than as an attribute that a destination carries."""
    for key, value in table.items():
        where = f"{place}{key}"
        for name in (key, value):
            if isinstance(name, str) and re.sub(r"[^a-z0-9]", "", name.lower()) in _INSTANCE_NUMBER:
                return where
        if isinstance(value, dict) and (found := _mapped_instance_number(value, f"{where}.")):
            return found
    return None


def _toml(text: bytes, place: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place}: {error}") from None


def _mistakes(error: ValidationError, place: str) -> Sequence[str]:
    """One line for each mistake, with its key; never the value, which may be a secret."""
    lines = []
    for found in error.errors(include_input=False, include_url=False):
        key = ".".join(str(part) for part in found["loc"])
        known = get_close_matches(key.rpartition(".")[2], _known_keys(), n=1)
        if found["type"] == "extra_forbidden":
            lines.append(f"{place}: {key}: unknown key" + (f"; did you mean {known[0]}?" if known else ""))
        else:
            lines.append(f"{place}: {key}: {found['msg'].removeprefix('Value error, ')}")
    return lines


def _known_keys() -> list[str]:
    models: tuple[type[BaseModel], ...] = (
        Settings, _ChannelFile, _SourceFile, _FilterFile, _TransformerFile, _DestinationFile,
        _ExampleFile,
    )  # fmt: skip
    return [name for model in models for name in model.model_fields]
