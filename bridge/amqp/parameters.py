"""Where the broker is and how we get in, out of one URL; and why we did not get in, in one line without a secret.

The URL may hold `cacertfile`, `certfile` and `keyfile`, as in RabbitMQ's URI query parameters; the settings put them
there. `amqps` always checks the broker's certificate and name.
"""

import re
import ssl
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

from pika import SSLOptions, URLParameters
from pika.exceptions import (
    AuthenticationError,
    IncompatibleProtocolError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from bridge.core.errors import ConfigError, Unavailable

_SCHEMES = ("amqp://", "amqps://")
_HEARTBEAT = 30  # seconds, where the URL states none
_FILES = {"cacertfile": "amqp_ca_file", "certfile": "amqp_certificate_file", "keyfile": "amqp_key_file"}


def parameters(url: str) -> URLParameters:
    """How to connect, with the certificates as they are on the disk at this moment.

    Raises:
        ConfigError: the URL is none, or a certificate cannot be used.
    """
    if not url.lower().startswith(_SCHEMES):  # pika would take http:// for amqp://
        raise ConfigError(f"amqp_url begins with neither {' nor '.join(_SCHEMES)}")
    try:
        parts = urlsplit(url)
        stated = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        files = {name: stated.pop(name) for name in _FILES if stated.get(name)}
        found = URLParameters(parts._replace(query=urlencode(stated)).geturl())
    except Exception as error:  # noqa: BLE001 (pika raises whatever its parsing runs into)
        raise ConfigError(f"amqp_url is not an AMQP URL ({type(error).__name__})") from None
    if "ssl_options" in stated:
        raise ConfigError("amqp_url: ssl_options is not taken; set amqp_ca_file, amqp_certificate_file, amqp_key_file")
    if found.ssl_options:
        found.ssl_options = SSLOptions(_tls(**files), found.host)
    elif files:
        raise ConfigError(f"{_FILES[next(iter(files))]} is for amqps://, and amqp_url is not")
    if "heartbeat" not in stated:
        found.heartbeat = _HEARTBEAT
    found.blocked_connection_timeout = None  # a memory alarm ends by itself; closing would only add load
    return found


def _tls(cacertfile: str | None = None, certfile: str | None = None, keyfile: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later; the system's certificate authorities where no file is given."""
    try:
        context = ssl.create_default_context(cafile=cacertfile)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"amqp_ca_file {cacertfile}: {_why(error, 'holds no certificate')}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if keyfile and not certfile:
        raise ConfigError("amqp_key_file needs amqp_certificate_file")
    if certfile:
        try:
            context.load_cert_chain(certfile, keyfile, password="")  # never ask at a terminal
        except OSError as error:
            files = " and ".join(file for file in (certfile, keyfile) if file)
            reason = _why(error, "hold no certificate and its key, without a passphrase")
            raise ConfigError(f"amqp_certificate_file, amqp_key_file {files}: {reason}") from None
    return context


def _why(error: OSError, otherwise: str) -> str:
    return otherwise if isinstance(error, ssl.SSLError) or not error.strerror else error.strerror


# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED: the broker's owner renews it, we wait.
_DATES = (9, 10)

# TLS alerts (RFC 8446, 6.2) that are about the certificate that we showed, or did not.
_ABOUT_OURS = frozenset(
    {
        "ACCESS_DENIED",
        "BAD_CERTIFICATE",
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_REQUIRED",
        "CERTIFICATE_REVOKED",
        "CERTIFICATE_UNKNOWN",
        "DECRYPT_ERROR",
        "HANDSHAKE_FAILURE",
        "UNKNOWN_CA",
        "UNSUPPORTED_CERTIFICATE",
    }
)
_ALERT = re.compile(r"ALERT_([A-Z_]+)")


def failure(error: BaseException) -> ConfigError | Unavailable:
    """Why there is no connection: ConfigError where only a change of settings or rights on the broker helps."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ProbableAuthenticationError | AuthenticationError):
            return ConfigError("the broker refuses the login in amqp_url")
        if isinstance(cause, ProbableAccessDeniedError):
            return _no_virtual_host(str(cause))
        if isinstance(cause, ssl.SSLCertVerificationError):
            wrong = f"the broker's certificate is not accepted: {cause.verify_message}"
            return Unavailable(wrong) if cause.verify_code in _DATES else ConfigError(f"{wrong} (amqp_ca_file)")
        if alert := _ALERT.search(str(cause)):  # with TLS 1.3 it comes after the handshake, inside another error
            said = alert[1].lower().replace("_", " ")
            if alert[1] in _ABOUT_OURS:
                return ConfigError(f"the broker refuses our certificate: {said} (amqp_certificate_file, amqp_key_file)")
            return Unavailable(f"the broker ends TLS: {said}")
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            return ConfigError("amqp_url says amqps://, and the port answers without TLS")
        if isinstance(cause, IncompatibleProtocolError):  # the alert that says so may be lost with the connection
            return Unavailable("the broker ends the connection at once: no AMQP, or with amqps it wants no such client")
    said = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), "")
    return Unavailable(f"the broker does not answer ({said or type(causes[-1]).__name__})")


def _no_virtual_host(said: str) -> ConfigError | Unavailable:
    if "is down" in said or "limit" in said:
        return Unavailable("the broker refuses the virtual host in amqp_url for now: it is down, or at its limit")
    return ConfigError("the broker refuses the virtual host in amqp_url: there is none, or the login may not use it")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what pika has wrapped into it."""
    yield error
    for inner in (*error.args, *getattr(error, "exceptions", ()), getattr(error, "exception", None)):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
