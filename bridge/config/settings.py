"""The settings of the program, from the environment and one file (DESIGN 3.2)."""

import os
from datetime import timedelta
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from bridge.config.stated import Bound, Duration, Nesting, Size, duration, meant, mistakes, toml
from bridge.core.errors import ConfigError
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.policy import DEFAULT_POLICY, Policy

_APPLICATION = "hl7-dicom-bridge"
_SECRETS = ("amqp_url", "database_url")  # may also stand in a file that BRIDGE_…_FILE names
_LONGEST_KEPT = timedelta(days=36500)


def _folders(stated: object) -> object:
    """Several in one environment variable are separated as in PATH."""
    return [folder for folder in stated.split(os.pathsep) if folder] if isinstance(stated, str) else stated


def _words(stated: object) -> object:
    """Several in one environment variable are separated by commas."""
    return [word.strip() for word in stated.split(",") if word.strip()] if isinstance(stated, str) else stated


def _address(stated: object) -> object:
    """`127.0.0.1:9464`, `[::1]:9464`, `:9464`; where none is stated, the address is this machine's own."""
    host, colon, port = str(stated).rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not (colon and port.isdecimal() and int(port) < 1 << 16 and _is_ip_address(host)):
        raise ValueError("write an IP address and a port, such as 127.0.0.1:9464 or [::1]:9464")
    return host, int(port)


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _kept(stated: object) -> timedelta | None:
    """`30d`; `forever` is None."""
    if stated in (None, "forever"):
        return None
    try:
        kept = duration(stated)
    except (ValueError, OverflowError):
        raise ValueError("write a whole number and a unit, such as 30d, or forever") from None
    if not timedelta(0) < kept <= _LONGEST_KEPT:
        raise ValueError(f"write a time of up to {_LONGEST_KEPT.days}d, or forever")
    return kept


def _kept_or_not(stated: object) -> timedelta | None:
    """The same; `0` keeps nothing."""
    return timedelta(0) if stated in (0, "0", "0d", timedelta(0)) else _kept(stated)


Kept = Annotated[timedelta | None, BeforeValidator(_kept)]  # None: for ever
Address = Annotated[tuple[str, int], BeforeValidator(_address)]  # an IP address and a port


class Settings(BaseModel):
    """The settings (DESIGN 3.2); each is also an environment variable, `BRIDGE_` and its name in capitals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amqp_url: SecretStr = SecretStr("amqp://guest:guest@localhost:5672/%2F")
    amqp_ca_file: Path | None = None
    amqp_certificate_file: Path | None = None
    amqp_key_file: Path | None = None
    amqp_declare: Literal["create", "check"] = "create"
    database_url: SecretStr = SecretStr("sqlite:///bridge.db")
    channels: Path = Path("channels")
    settle_after: Duration = timedelta(seconds=60)
    hold_for: Duration = timedelta(hours=24)
    strict_issuers: bool = DEFAULT_POLICY.strict_issuers
    person_identifier_types: Annotated[tuple[str, ...], BeforeValidator(_words)] = ("MR", "PI", "PT", "NI")
    site: str = Field("default", pattern=r"^[A-Za-z0-9._-]+$")
    log_format: Literal["text", "json"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    http_listen: Address | None = None
    retain_messages: Kept = timedelta(days=90)
    retain_bodies: Annotated[timedelta | None, BeforeValidator(_kept_or_not)] = timedelta(days=30)
    retain_studies: Kept = timedelta(days=400)
    reference_folders: Annotated[tuple[Path, ...], BeforeValidator(_folders)] = ()
    max_message_size: Size = DEFAULT_LIMITS.max_message_size
    max_inflated_size: Size = DEFAULT_LIMITS.max_inflated_size
    max_field_size: Size = DEFAULT_LIMITS.max_field_size
    max_segments: Bound = DEFAULT_LIMITS.max_segments
    max_fields: Bound = DEFAULT_LIMITS.max_fields
    max_repetitions: Bound = DEFAULT_LIMITS.max_repetitions
    max_elements: Bound = DEFAULT_LIMITS.max_elements
    max_nesting: Nesting = DEFAULT_LIMITS.max_nesting
    max_orders: Bound = DEFAULT_LIMITS.max_orders
    max_messages: Bound = DEFAULT_LIMITS.max_messages

    @property
    def broker_url(self) -> str:
        """`amqp_url` with the files for TLS, named as in RabbitMQ's URI query parameters. A secret."""
        files = {"cacertfile": self.amqp_ca_file, "certfile": self.amqp_certificate_file, "keyfile": self.amqp_key_file}
        stated = urlencode({name: str(file.absolute()) for name, file in files.items() if file})
        url = self.amqp_url.get_secret_value()
        return f"{url}{'&' if '?' in url else '?'}{stated}" if stated else url

    @property
    def limits(self) -> Limits:
        """What one message may make the bridge read."""
        bounds = {name: getattr(self, name) for name in Limits.__struct_fields__}
        return Limits(**bounds | {"reference_folders": tuple(str(folder) for folder in self.reference_folders)})

    @property
    def policy(self) -> Policy:
        """What the site has settled about comparing identifiers. An empty CX.5 is always one of the types."""
        return Policy(self.strict_issuers, frozenset((None, *self.person_identifier_types)))


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
        raise ConfigError(*mistakes(error, str(file or "environment"), (Settings,))) from None


def _settings_file(config: Path | None) -> Path | None:
    named = config or (Path(os.environ["BRIDGE_CONFIG"]) if os.environ.get("BRIDGE_CONFIG") else None)
    if named:
        if not named.is_file():
            raise ConfigError(f"there is no settings file {named}")
        return named
    folders = (Path(), platformdirs.user_config_path(_APPLICATION), platformdirs.site_config_path(_APPLICATION))
    return next((folder / "bridge.toml" for folder in folders if (folder / "bridge.toml").is_file()), None)


def _from_file(file: Path) -> dict[str, Any]:
    stated = toml(file.read_bytes(), str(file))
    if isinstance(stated.get("channels"), str):
        stated["channels"] = file.parent / stated["channels"]
    for name in ("amqp_ca_file", "amqp_certificate_file", "amqp_key_file"):
        if isinstance(stated.get(name), str):
            stated[name] = file.parent / stated[name]
    for name in _SECRETS:
        if isinstance(stated.get(name), dict):
            stated[name] = _named_secret(stated[name], f"{file}: {name}")
    if isinstance(stated.get("reference_folders"), list):
        stated["reference_folders"] = [file.parent / str(folder) for folder in stated["reference_folders"]]
    prefix, relative, database = str(stated.get("database_url", "")).partition("sqlite:///")
    if relative and not prefix and not database.startswith("/"):
        stated["database_url"] = f"sqlite:///{file.parent.resolve() / database}"
    return stated


def _named_secret(stated: dict[str, Any], key: str) -> str:
    """What `{ env = "NAME" }` means."""
    if list(stated) != ["env"] or not isinstance(stated["env"], str):
        raise ConfigError(f'{key}: write a text, or {{ env = "NAME" }} for what the variable NAME holds')
    if not (secret := os.environ.get(stated["env"])):
        raise ConfigError(f"{key}: the environment has no {stated['env']}")
    return secret


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


def unknown_variables() -> list[str]:
    """What begins as our environment variables do and is none, each with what it may have been meant for."""
    known = {f"BRIDGE_{name.upper()}" for name in Settings.model_fields} | {"BRIDGE_CONFIG"}
    known |= {f"BRIDGE_{name.upper()}_FILE" for name in _SECRETS}
    unknown = sorted(name for name in os.environ if name.startswith("BRIDGE_") and name not in known)
    return [f"{name}{meant(name, known)}" for name in unknown]


def starter_channels() -> Path:
    """The folder of the channels that are shipped with the package."""
    packaged = Path(str(files("bridge"))) / "starter_channels"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "channels"


def channels_place(settings: Settings) -> Path:
    """The folder of the settings, or that of the shipped channels where there is none."""
    return settings.channels if settings.channels.exists() else starter_channels()
