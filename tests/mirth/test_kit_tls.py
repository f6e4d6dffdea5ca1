"""The kit's scripts over TLS: who is let in, by both sides, and that nobody else is."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.localbroker import LocalBroker, Ports
from tests.conftest import Service
from tests.faults.authority import Authority
from tests.mirth.engine import Channel, MirthEngine
from tests.samples import orm

HL7 = Channel("hl7-in")


class Secured(NamedTuple):
    """A broker for `localhost` that wants a client certificate of `authority`."""

    node: LocalBroker
    port: int
    authority: Authority
    key_store: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder, "authority")
    server, client = authority.certificate("server", "localhost"), authority.certificate("client")
    key_store = folder / "client.p12"
    packed = ["-export", "-in", client.file, "-inkey", client.key_file, "-out", key_store, "-passout", "pass:store"]
    subprocess.run(["openssl", "pkcs12", *packed], check=True)
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
        yield Secured(node, port, authority, key_store)


@pytest.fixture
def mirth(java_process: MirthEngine, secured: Secured) -> MirthEngine:
    """An engine with everything as it has to be."""
    java_process.begin(
        bridgeAmqpUri=f"amqps://guest:guest@localhost:{secured.port}",
        bridgeAmqpCaFile=str(secured.authority.file),
        bridgeAmqpKeyStoreFile=str(secured.key_store),
        bridgeAmqpKeyStorePassword="store",
    )
    return java_process


def said(mirth: MirthEngine) -> tuple[str, str]:
    return mirth.send(HL7, orm(1).decode())


def test_with_the_right_certificates_a_message_arrives(mirth: MirthEngine, secured: Secured, tmp_path: Path) -> None:
    service = Service(tmp_path, secured.node.url)
    service.start()
    assert said(mirth)[0] == "SENT"
    assert service.stop() == 0


def test_a_broker_of_another_authority_gets_nothing(mirth: MirthEngine, tmp_path: Path) -> None:
    mirth.settings["bridgeAmqpCaFile"] = str(Authority(tmp_path, "other").file)
    status, text = said(mirth)
    assert (status, "unable to find valid certification path" in text) == ("QUEUED", True), text
    del mirth.settings["bridgeAmqpCaFile"]  # nor does it trust everybody by default
    mirth.run(HL7, "undeploy")
    status, text = said(mirth)
    assert (status, "unable to find valid certification path" in text) == ("QUEUED", True), text


def test_a_broker_with_another_name_gets_nothing(mirth: MirthEngine) -> None:
    mirth.settings["bridgeAmqpHost"] = "127.0.0.1"
    status, text = said(mirth)
    assert (status, "No subject alternative names matching IP address 127.0.0.1" in text) == ("QUEUED", True), text


def test_without_a_certificate_of_its_own_the_engine_is_refused(mirth: MirthEngine) -> None:
    del mirth.settings["bridgeAmqpKeyStoreFile"]
    status, text = said(mirth)
    assert status == "QUEUED"
    assert "certificate" in text or "Broken pipe" in text or "reset" in text or "EOF" in text, text
