"""A message may name a file instead of holding it; nothing outside the allowed folders is ever opened."""

import json
import os
from pathlib import Path

import pytest

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.formats.references import referred


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """An allowed folder with a file in it, beside a file that nobody allowed."""
    folder = tmp_path / "spool"
    (folder / "day 1").mkdir(parents=True)
    (folder / "day 1" / "ct.dcm").write_bytes(b"the object")
    (tmp_path / "secret").write_bytes(b"a secret")
    return folder


def read(uri: object, *folders: Path, **bounds: int) -> tuple[bytes, bool]:
    limits = Limits(reference_folders=tuple(str(folder) for folder in folders), **bounds)
    return referred(json.dumps({"uri": uri}).encode(), limits)


def refused(uri: object, *folders: Path) -> str:
    with pytest.raises(Invalid) as error:
        read(uri, *folders)
    assert "secret" not in error.value.reason
    return error.value.code


def test_a_file_below_an_allowed_folder_is_read(spool: Path) -> None:
    for uri in (f"file://{spool}/day%201/ct.dcm", f"file://localhost{spool}/day%201/../day%201/ct.dcm"):
        assert read(uri, spool.parent / "other", spool) == (b"the object", True)


def test_of_a_large_file_the_beginning_is_read(spool: Path) -> None:
    assert read(f"file://{spool}/day%201/ct.dcm", spool, max_message_size=3) == (b"the", False)
    assert read(f"file://{spool}/day%201/ct.dcm", spool, max_message_size=10) == (b"the object", True)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "file://{spool}/../secret",
        "file://{spool}/%2e%2e/secret",
        "file://{spool}/day%201/../../secret",
        "file://{spool}",
        "file://{spool}-other/ct.dcm",
        "file://elsewhere{spool}/day%201/ct.dcm",
        "http://localhost{spool}/day%201/ct.dcm",
        "file://{spool}/day%201/ct.dcm?x=1",
    ],
)
def test_anything_else_is_refused_before_it_is_opened(spool: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_arguments: object, **_named: object) -> int:
        raise AssertionError("something was opened")

    monkeypatch.setattr(os, "open", opened)
    assert refused(uri.replace("{spool}", str(spool)), spool) == "reference-not-allowed"


def test_without_an_allowed_folder_nothing_is_read(spool: Path) -> None:
    assert refused(f"file://{spool}/day%201/ct.dcm") == "reference-not-allowed"


def test_a_link_out_of_the_folder_is_refused_and_one_within_it_is_followed(spool: Path) -> None:
    (spool / "out").symlink_to(spool.parent / "secret")
    (spool / "up").symlink_to(spool.parent)
    (spool / "latest").symlink_to(spool / "day 1")
    assert refused(f"file://{spool}/out", spool) == "reference-not-allowed"
    assert refused(f"file://{spool}/up/secret", spool) == "reference-not-allowed"
    assert read(f"file://{spool}/latest/ct.dcm", spool) == (b"the object", True)


def test_an_allowed_folder_may_itself_be_a_link(spool: Path) -> None:
    (spool.parent / "mount").symlink_to(spool)
    assert read(f"file://{spool.parent}/mount/day%201/ct.dcm", spool.parent / "mount") == (b"the object", True)


def test_a_link_that_takes_the_place_of_a_folder_meanwhile_is_not_followed(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spool.parent / "elsewhere").mkdir()
    (spool.parent / "elsewhere" / "ct.dcm").write_bytes(b"a secret")
    checked = os.path.realpath

    def checked_then_exchanged(path: str) -> str:
        real = checked(path)
        if real.endswith("ct.dcm"):
            (spool / "day 1").rename(spool / "moved")
            (spool / "day 1").symlink_to(spool.parent / "elsewhere")
        return real

    monkeypatch.setattr(os.path, "realpath", checked_then_exchanged)
    assert refused(f"file://{spool}/day%201/ct.dcm", spool) == "reference-unreadable"


def test_what_is_no_file_that_can_be_read_is_refused(spool: Path) -> None:
    os.mkfifo(spool / "pipe")
    assert refused(f"file://{spool}/absent.dcm", spool) == "reference-not-found"
    assert refused(f"file://{spool}/day%201", spool) == "reference-unreadable"
    assert refused(f"file://{spool}/pipe", spool) == "reference-unreadable"


@pytest.mark.parametrize(
    "body",
    [b"", b"file:///etc/passwd", b"[]", b'{"uri": 7}', b'{"url": "file:///x"}', b'{"uri": "file:x"}', b"[" * 9999],
)
def test_what_is_no_reference_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid) as error:
        referred(body, Limits(reference_folders=("/",)))
    assert error.value.code == "reference-malformed"


@pytest.mark.parametrize("uri", ["file:///a%00b", "file:a", "file://[::1", "file://"])
def test_a_uri_without_an_absolute_path_is_refused(uri: str) -> None:
    assert refused(uri, Path("/")) == "reference-malformed"
