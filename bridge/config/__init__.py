"""Settings and channel files: read once, checked as a whole, every mistake reported with its place."""

from bridge.config.channel_files import channel_file_schema, load_channels, placed
from bridge.config.settings import Settings, channels_place, load_settings, starter_channels, unknown_variables
from bridge.config.stated import duration

__all__ = [
    "Settings",
    "channel_file_schema",
    "channels_place",
    "duration",
    "load_channels",
    "load_settings",
    "placed",
    "starter_channels",
    "unknown_variables",
]
