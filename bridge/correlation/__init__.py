"""Applies facts to what is stored, decides again every study that they touch, and says which events are owed."""

from bridge.correlation.batch import Correlation
from bridge.correlation.cause import Cause, Site, cause_of
from bridge.correlation.studies import series_of

__all__ = ["Cause", "Correlation", "Site", "cause_of", "series_of"]
