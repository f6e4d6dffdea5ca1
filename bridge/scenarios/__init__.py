"""Scenarios are the tests of a site's channels in the channels' own language: what comes in, and how studies end."""

from bridge.scenarios.checking import differences, failures, sequences
from bridge.scenarios.played_examples import failures_of_examples
from bridge.scenarios.playing import Ended, Stage, played

__all__ = ["Ended", "Stage", "differences", "failures", "failures_of_examples", "played", "sequences"]
