"""What one check of the machine or the installation has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass

OK, NOTE, PROBLEM = "ok", "note", "problem"
"""As it should be; worth knowing, though everything works; something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found."""

    name: str
    """What was checked, in one word."""
    state: str
    """`ok`, `note` or `problem`."""
    text: str
    advice: str = ""
    """What to do, unless all is well."""

    def to_dict(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return asdict(self)
