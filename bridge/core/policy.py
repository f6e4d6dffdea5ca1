"""What a site may settle about comparing identifiers (DESIGN 4.2, 4.3)."""

from bridge.core.struct import Value


class Policy(Value):
    """`strict_issuers`: a number without an issuer never equals one that has an issuer.

    `person_types` are the identifier types (CX.5, HL7 table 0203) that belong to one person; None is an empty CX.5.
    """

    strict_issuers: bool = False
    person_types: frozenset[str | None] = frozenset({None, "MR", "PI", "PT", "NI"})


DEFAULT_POLICY = Policy()
