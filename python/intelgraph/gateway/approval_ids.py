"""The approval that a request names for its act."""

from uuid import UUID

from intelgraph.errors import InvalidArgument


def approval_id_of(text: str) -> UUID | None:
    """The id; None where the request names none. Raises InvalidArgument APPROVAL_ID_INVALID."""
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument(
            "APPROVAL_ID_INVALID",
            "the approval's id is not a UUID",
            fix="copy it from `intelgraph approvals list`",
        ) from None
