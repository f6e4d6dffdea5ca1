"""An engine without an engine: the kit's exports, run in Rhino as Mirth runs them, against real brokers."""

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xml.etree import ElementTree

import pytest

from bridge.core.errors import ConfigError
from tests.conftest import PATIENCE
from tests.mirth.connectors import KIT
from tests.mirth.java import java

_DRIVER = Path(__file__).with_name("engine.js")


class Channel:
    """A channel of the kit as it is imported: its scripts, and the functions of the templates that come with it."""

    def __init__(self, name: str) -> None:
        root = ElementTree.parse(KIT / f"{name}.xml").getroot()  # noqa: S314 - our own file

        def text(path: str) -> str:
            return root.findtext(path) or ""

        self.id, self.name = text("id"), text("name")
        self.templates = "\n".join(
            code.text or ""
            for library in root.findall(".//codeTemplateLibrary")
            if self.id in {enabled.text for enabled in library.findall("enabledChannelIds/string")}
            for code in library.findall(".//codeTemplate/properties/code")
        )
        self.scripts = {
            "reader": text("sourceConnector/properties/script"),
            "writer": text("destinationConnectors/connector/properties/script"),
            "preprocessor": text("preprocessingScript"),
            "postprocessor": text("postprocessingScript"),
            "deploy": text("deployScript"),
            "undeploy": text("undeployScript"),
        }


class MirthEngine:
    """A Java process that executes scripts of channels; `settings` is the configuration map.

    Skips the test where there is no Java and none can be installed.
    """

    def __init__(self, *, client: bool = True, **settings: str) -> None:
        self._client = client
        self.settings = settings
        self.logged: list[str] = []
        self.alerted: list[str] = []
        self._channels: dict[str, Channel] = {}

    def begin(self, **settings: str) -> None:
        """As a new engine with these settings, without the second that a new process takes."""
        for channel in list(self._channels.values()):
            self.run(channel, "undeploy")
        self.settings, self.logged, self.alerted, self._channels = settings, [], [], {}

    def __enter__(self) -> Self:
        try:
            command = java(client=self._client)
        except ConfigError as error:
            pytest.skip(str(error))
        self._process = subprocess.Popen(
            [*command, "-version", "200", "-opt", "-1", str(_DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._said.put(json.loads(line))
        self._said.put(None)

    def _answer(self) -> dict[str, Any]:
        said = self._said.get(timeout=PATIENCE * 2)
        assert said is not None, "the Java process has ended"
        return said

    def _order(self, channel: Channel, script: str, task: dict[str, Any]) -> None:
        self._channels[channel.id] = channel
        stated = {
            "channelId": channel.id,
            "channelName": channel.name,
            "templates": channel.templates,
            "script": channel.scripts.get(script, script),
            "configurationMap": self.settings,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(stated | task) + "\n")
        self._process.stdin.flush()

    def _done(self, answer: dict[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = answer["done"]
        self.logged += done["logged"]
        self.alerted += done["alerted"]
        assert "thrown" not in done, done["thrown"]
        return done

    def run(self, channel: Channel, script: str, **task: Any) -> dict[str, Any]:
        """One execution: a script of the channel by its name, or any other that can call the templates."""
        self._order(channel, script, task)
        return self._done(self._answer())

    def send(self, channel: Channel, data: str | None, **task: Any) -> tuple[str, str]:
        """The status and its text that the channel's writer answers with for a message."""
        message = {"id": task.pop("id", 1), "data": data, "modality": task.pop("modality", None)}
        done = self.run(channel, "writer", message=message, **task)
        return done["status"], done["text"]

    def send_all(
        self,
        channel: Channel,
        messages: Sequence[dict[str, Any]],
        *,
        threads: int,
        each: Callable[[int], None] = lambda sent: None,
        **task: Any,
    ) -> list[str]:
        """Sends all, each until it is SENT; calls `each` with how many are. Every text that a writer answered with."""
        self._order(channel, "writer", {"messages": messages, "threads": threads, "retryMillis": 50, **task})
        sent = 0
        while "done" not in (said := self._answer()):
            sent += said["status"] == "SENT"
            each(sent)
        return list(self._done(said)["texts"])
