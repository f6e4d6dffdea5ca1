"""HL7 v2 to DICOM bridge: correlates imaging orders with incoming objects and publishes enriched events."""

__version__ = "0.4.0"
