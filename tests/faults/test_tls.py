"""amqps: who is let in, by both sides, and how clearly it is said when somebody is not."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.localbroker import LocalBroker, Ports
from tests.conftest import Service
from tests.faults.authority import Authority, Certificate
from tests.faults.traffic import Traffic

HIDDEN = "a-secret-word"


class Secured(NamedTuple):
    """A broker that wants a client certificate of `authority`; its own is for `localhost`, not for 127.0.0.1."""

    node: LocalBroker
    port: int
    authority: Authority
    server: Certificate
    client: Certificate

    def url(self, host: str = "localhost", port: int | None = None) -> str:
        return f"amqps://bridge:{HIDDEN}@{host}:{port or self.port}/%2F"

    def show(self, certificate: Certificate) -> None:
        """Has the broker show this certificate from now on."""
        self.server.file.write_bytes(certificate.file.read_bytes())
        self.server.key_file.write_bytes(certificate.key_file.read_bytes())
        self.node.control("eval", "ssl:clear_pem_cache().")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[Secured]:
    authority = Authority(folder, "authority")
    server, client = authority.certificate("server", "localhost"), authority.certificate("client")
    port = Ports.free().amqp
    settings = f"""\
listeners.ssl.private = 127.0.0.1:{port}
ssl_options.cacertfile = {authority.file}
ssl_options.certfile = {server.file}
ssl_options.keyfile = {server.key_file}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""
    with LocalBroker(settings=settings) as node:
        node.control("add_user", "bridge", HIDDEN)
        node.control("set_permissions", "bridge", ".*", ".*", ".*")
        yield Secured(node, port, authority, server, client)


@pytest.fixture
def service(tmp_path: Path, secured: Secured) -> Iterator[Service]:
    """The service with everything as it has to be, not started yet."""
    made = Service(
        tmp_path,
        secured.url(),
        BRIDGE_AMQP_CA_FILE=str(secured.authority.file),
        BRIDGE_AMQP_CERTIFICATE_FILE=str(secured.client.file),
        BRIDGE_AMQP_KEY_FILE=str(secured.client.key_file),
    )
    yield made
    if made.process is not None:
        made.kill()


def refused(service: Service, *command: str) -> str:
    """The one line in which a command says that settings have to be changed."""
    answer = service.command(*command)
    assert answer.returncode == 78, answer.stderr
    [line] = [line for line in answer.stderr.splitlines() if line.startswith("bridge: ")]
    assert HIDDEN not in answer.stderr
    return line


def test_with_the_right_certificates_messages_pass_through_tls(service: Service, secured: Secured) -> None:
    service.start()
    traffic = Traffic(secured.node.url)
    traffic.publish(20)
    assert service.command("listen", "--seconds", "0.1").returncode == 0
    traffic.complete(service)


def test_the_settings_file_may_name_certificates_beside_itself(service: Service, folder: Path) -> None:
    for name in ("CA_FILE", "CERTIFICATE_FILE", "KEY_FILE"):
        del service.environment[f"BRIDGE_AMQP_{name}"]
    url = service.environment.pop("BRIDGE_AMQP_URL")
    (folder / "bridge.toml").write_text(
        f'amqp_url = "{url}"\namqp_ca_file = "authority.pem"\n'
        'amqp_certificate_file = "client.pem"\namqp_key_file = "client.key"\n'
    )
    service.environment["BRIDGE_CONFIG"] = str(folder / "bridge.toml")
    service.start()
    assert service.stop() == 0


def test_a_broker_of_another_authority_is_refused(service: Service, folder: Path) -> None:
    service.environment["BRIDGE_AMQP_CA_FILE"] = str(Authority(folder, "other").file)
    line = refused(service, "run")
    assert "the broker's certificate is not accepted" in line
    assert "amqp_ca_file" in line


def test_a_broker_with_another_name_is_refused(service: Service, secured: Secured) -> None:
    service.environment["BRIDGE_AMQP_URL"] = secured.url("127.0.0.1")
    assert "not valid for '127.0.0.1'" in refused(service, "run")


def test_without_a_certificate_of_our_own_the_broker_refuses_us(service: Service) -> None:
    del service.environment["BRIDGE_AMQP_CERTIFICATE_FILE"], service.environment["BRIDGE_AMQP_KEY_FILE"]
    assert "the broker refuses our certificate: certificate required" in refused(service, "run")


def test_with_a_certificate_that_the_broker_does_not_know_it_refuses_us(service: Service, folder: Path) -> None:
    foreign = Authority(folder, "foreign").certificate("stranger")
    service.environment["BRIDGE_AMQP_CERTIFICATE_FILE"] = str(foreign.file)
    service.environment["BRIDGE_AMQP_KEY_FILE"] = str(foreign.key_file)
    assert "the broker refuses our certificate: unknown ca" in refused(service, "run")  # it tries until told why


def test_a_port_without_tls_is_named(service: Service, secured: Secured) -> None:
    service.environment["BRIDGE_AMQP_URL"] = secured.url(port=secured.node.port)
    assert "the port answers without TLS" in refused(service, "run")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("BRIDGE_AMQP_CA_FILE", "absent.pem", "amqp_ca_file"),
        ("BRIDGE_AMQP_KEY_FILE", "absent.key", "amqp_key_file"),
        ("BRIDGE_AMQP_URL", f"amqp://bridge:{HIDDEN}@localhost", "amqp_ca_file is for amqps://"),
    ],
)
def test_files_that_are_not_there_or_of_no_use_are_named(service: Service, setting: str, value: str, said: str) -> None:
    service.environment[setting] = value
    assert said in refused(service, "run")


def test_a_broker_whose_certificate_has_expired_is_waited_for_until_it_is_renewed(
    service: Service, secured: Secured
) -> None:
    good = Certificate(service.folder / "good.pem", service.folder / "good.key")
    good.file.write_bytes(secured.server.file.read_bytes())
    good.key_file.write_bytes(secured.server.key_file.read_bytes())
    secured.show(secured.authority.certificate("old", "localhost", expired=True))
    answer = service.command("listen", "--seconds", "0.1")
    assert answer.returncode == 69
    assert "certificate has expired" in answer.stderr
    service.begin()
    service.wait_for("waiting for the broker: the broker's certificate is not accepted: certificate has expired")
    secured.show(good)
    service.wait_for("ready")
    assert service.stop() == 0
    assert HIDDEN not in "".join(service.log)
