"""Java with Rhino, in which an engine runs its scripts, and RabbitMQ's client for it."""

import shutil
from pathlib import Path

from bridge.private_server import install

_INSTALL = Path(__file__).with_name("java_install.sh")
_JARS = Path("/usr/share/java")  # of Debian and Ubuntu
_CLIENT = "amqp-client.jar"
_WANTED = ("rhino.jar", _CLIENT, "slf4j-api.jar", "slf4j-nop.jar")


def java(*, client: bool = True) -> list[str]:
    """The command that runs Rhino with RabbitMQ's client on its class path, installed when they are not there.

    Raises ConfigError when they are not there and cannot be installed from here. Without `client` as in an engine into
    which nobody has put it.
    """
    jars = _find() or install("rhino", "java, rhino and librabbitmq-client-java", _find, _INSTALL)
    path = ":".join(str(jars / name) for name in _WANTED if client or name != _CLIENT)
    return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", path, "org.mozilla.javascript.tools.shell.Main"]


def _find() -> Path | None:
    return _JARS if shutil.which("java") and all((_JARS / name).exists() for name in _WANTED) else None
